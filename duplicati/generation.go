package duplicati

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Generation is a line of Duplicati servers that behave alike. Its text is
// fit to be stored beside a session.
type Generation string

// The generations, oldest first.
const (
	G21  Generation = "2.1"
	G22  Generation = "2.2"
	G230 Generation = "2.3.0"
	G231 Generation = "2.3.1" // and later
)

var generations = []Generation{G21, G22, G230, G231}

// ParseGeneration reads a stored generation; ok is false for any other text.
func ParseGeneration(text string) (g Generation, ok bool) {
	return Generation(text), slices.Contains(generations, Generation(text))
}

// Feature is something that not every generation can do.
type Feature string

// The features, each with the first generation that has it.
const (
	SkipsQueue        Feature = "run to the end of the queue unless asked to skip it" // 2.2; 2.1 always goes to the head
	PausesTransfers   Feature = "pause transfers"                                     // 2.2
	TellsTaskFailures Feature = "say that a task failed"                              // 2.2; on 2.1 every task ends as Completed
	TellsTaskTimes    Feature = "say when a task began and ended"                     // 2.2
	StopsForDelete    Feature = "stop a running backup to delete it"                  // 2.2; 2.1 queues the delete behind the run
	ListsFiles        Feature = "list files by the v2 API"                            // 2.2
	Subscribes        Feature = "send events over the websocket"                      // 2.2; 2.1 sends the state only
	ReplacesOnImport  Feature = "replace settings on import"                          // 2.3.0; older ones ignore it
	MasksSecrets      Feature = "mask secrets in a backup's settings"                 // 2.3.0
	LocksDatabase     Feature = "refuse to read a database in use"                    // 2.3.1
	DeletesVersions   Feature = "delete versions"                                     // 2.3.1
	TellsInterrupted  Feature = "say that a run was interrupted"                      // 2.3.1
)

var since = map[Feature]Generation{
	SkipsQueue: G22, PausesTransfers: G22, TellsTaskFailures: G22, TellsTaskTimes: G22, StopsForDelete: G22, ListsFiles: G22, Subscribes: G22,
	ReplacesOnImport: G230, MasksSecrets: G230,
	LocksDatabase: G231, DeletesVersions: G231, TellsInterrupted: G231,
}

// Since is the first generation that has f.
func (f Feature) Since() Generation { return since[f] }

// Can reports whether servers of this generation have the feature. The zero
// Generation can nothing.
func (g Generation) Can(f Feature) bool {
	first, ok := since[f]
	return ok && g.at() >= first.at()
}

// at is the place in the order of generations, -1 for none.
func (g Generation) at() int { return slices.Index(generations, g) }

// Info is what is worth knowing of a server itself.
type Info struct {
	Generation Generation
	Version    string // "2.3.0.4"
	Name       string // "2.3.0.4 - 2.3.0.4_stable_2026-07-09"
	Extensions []string
	Machine    string
	OS         string // "Linux"
	StartedBy  string // "Server", "Tray icon", "Agent"
	Time       time.Time
	TimeZone   string // IANA's name on most hosts; "" on 2.1
}

// Location is the server's time zone: by name where this host knows it, else
// by what the server's clock showed, which knows no summer time.
func (i Info) Location() *time.Location {
	if i.TimeZone != "" {
		if l, err := time.LoadLocation(i.TimeZone); err == nil {
			return l
		}
	}
	if i.Time.IsZero() {
		return time.UTC
	}
	_, offset := i.Time.Zone()
	return time.FixedZone("", offset)
}

// Info asks the server what it is. Unsupported when it is older than 2.1.
func (c *Client) Info(ctx context.Context) (Info, error) {
	var r struct {
		ServerVersion, ServerVersionName, MachineName, OSType, StartedBy, ServerTimeZone string

		ServerTime    stamp
		APIExtensions []string
	}
	k := call{op: "ask for the server's version", method: http.MethodGet, path: "/api/v1/systeminfo", auth: true}
	if err := c.do(ctx, k, &r); err != nil {
		return Info{}, err
	}
	if numbers(r.ServerVersion) == nil {
		return Info{}, k.unreadable("the answer names no version of a server")
	}
	g, ok := generationOf(r.ServerVersion, r.APIExtensions)
	if !ok {
		return Info{}, tooOld(k.op)
	}
	c.Assume(g)
	return Info{
		Generation: g, Version: printable(r.ServerVersion), Name: printable(strings.TrimLeft(r.ServerVersionName, " -")),
		Extensions: r.APIExtensions, Machine: printable(r.MachineName), OS: printable(r.OSType), StartedBy: printable(r.StartedBy),
		Time: time.Time(r.ServerTime), TimeZone: r.ServerTimeZone,
	}, nil
}

// Assume tells the client, and all that share its connections, what the server
// is, so that nobody has to ask: what was stored with a session.
func (c *Client) Assume(g Generation) {
	if g.at() < 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gen = g
}

// Forget makes the next Generation ask again: after a restart of the server,
// which may have been an upgrade.
func (c *Client) Forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gen = ""
}

// Known is the generation as far as it is known; "" when nobody has asked yet.
func (c *Client) Known() Generation {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gen
}

// Generation is what the server is; it asks unless that is known.
func (c *Client) Generation(ctx context.Context) (Generation, error) {
	if g := c.Known(); g != "" {
		return g, nil
	}
	i, err := c.Info(ctx)
	return i.Generation, err
}

// need refuses a call that the server cannot do.
func (c *Client) need(ctx context.Context, op string, f Feature) error {
	g, err := c.Generation(ctx)
	if err != nil {
		return err
	}
	if !g.Can(f) {
		return refuse(op, Unsupported, "this server (Duplicati %s) cannot %s; that needs %s or newer; nothing was sent", g, f, f.Since())
	}
	return nil
}

// generationOf tells the generation by both signs and believes the lesser: an
// administrator can hide extensions, and test builds carry wrong versions. ok
// is false for a server before 2.1.
func generationOf(version string, extensions []string) (g Generation, ok bool) {
	g = G231
	switch {
	case extensions == nil:
		g = G21
	case slices.Contains(extensions, "v2:backup:list-broken-files"):
	case slices.Contains(extensions, "v2:system:temp-disk-space"):
		g = G230
	default:
		g = G22
	}
	v := numbers(version)
	if v == nil || v[0] < 2 { // a build of the source calls itself 1.0.0.0
		return g, true
	}
	byVersion := G231
	switch {
	case v[0] > 2 || v[1] > 3:
	case v[1] == 0:
		return "", false
	case v[1] == 1:
		byVersion = G21
	case v[1] == 2:
		byVersion = G22
	case v[2] == 0:
		byVersion = G230
	}
	if byVersion.at() < g.at() {
		g = byVersion
	}
	return g, true
}

// numbers reads "2.3.0.4"; nil for anything else.
func numbers(version string) []int {
	parts := strings.Split(version, ".")
	if len(parts) < 3 {
		return nil
	}
	v := make([]int, len(parts))
	for i, p := range parts {
		n, err := strconv.Atoi(p)
		if err != nil || n < 0 {
			return nil
		}
		v[i] = n
	}
	return v
}

// tooOld is what a 2.0 server is answered with.
func tooOld(op string) *Error {
	return refuse(op, Unsupported, "this is a Duplicati 2.0 server, whose API is another one; it needs to be 2.1 or newer")
}

// isOld asks whether a server that does not know the API is a 2.0 one, by the
// first half of that one's login.
func (c *Client) isOld(ctx context.Context) bool {
	k := call{op: "look for a 2.0 server", method: http.MethodPost, path: "/login.cgi", query: url.Values{"get-nonce": {"1"}}}
	var r struct{ Nonce, Salt string }
	_, err := c.exchange(ctx, k, &r)
	return err == nil && r.Nonce != "" && r.Salt != ""
}
