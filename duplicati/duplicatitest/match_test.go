package duplicatitest_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/duplibot/duplibot/duplicati/aescrypt"
	"github.com/duplibot/duplibot/secret"
)

// mapping holds the fake's word for a recorded one: tokens, nonces, event
// numbers.
type mapping map[string]string

var (
	tokenForm  = regexp.MustCompile(`eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+`)
	nonceForm  = regexp.MustCompile(`"RefreshNonce":"([^"]+)"`)
	eventForm  = regexp.MustCompile(`"LastEventID":(\d+)`)
	lastEvent  = regexp.MustCompile(`lastEventId=(\d+)`)
	nonceInAsk = regexp.MustCompile(`(?i)("nonce": *")([^"]+)(")`)
)

// learn takes the words of an answer.
func (m mapping) learn(want, got *response) {
	w, g := string(want.bytes()), string(got.bytes())
	for _, name := range []string{"Set-Cookie"} {
		w += strings.Join(want.header(name), " ")
		g += strings.Join(got.header(name), " ")
	}
	m.pair(tokenForm.FindAllString(w, -1), tokenForm.FindAllString(g, -1), "")
	m.pair(submatches(nonceForm, w), submatches(nonceForm, g), "nonce ")
	m.pair(submatches(eventForm, w), submatches(eventForm, g), "event ")
}

func submatches(re *regexp.Regexp, s string) []string {
	var out []string
	for _, sub := range re.FindAllStringSubmatch(s, -1) {
		out = append(out, sub[1])
	}
	return out
}

func (m mapping) pair(want, got []string, kind string) {
	for i := range min(len(want), len(got)) {
		m[kind+want[i]] = got[i]
	}
}

// translate puts the fake's words into a recorded request.
func (m mapping) translate(s string) string {
	s = tokenForm.ReplaceAllStringFunc(s, func(token string) string {
		if mine, ok := m[token]; ok {
			return mine
		}
		if mine, ok := m["other"]; ok { // of a session that was not recorded
			return mine
		}
		return token
	})
	s = nonceInAsk.ReplaceAllStringFunc(s, func(text string) string {
		sub := nonceInAsk.FindStringSubmatch(text)
		nonce := sub[2]
		if json.Unmarshal([]byte(`"`+nonce+`"`), &nonce) == nil {
			if mine, ok := m["nonce "+nonce]; ok {
				return sub[1] + mine + sub[3]
			}
		}
		return text
	})
	return lastEvent.ReplaceAllStringFunc(s, func(text string) string {
		if mine, ok := m["event "+strings.TrimPrefix(text, "lastEventId=")]; ok {
			return "lastEventId=" + mine
		}
		return text
	})
}

// comparedHeaders are those that say something.
var comparedHeaders = []string{"Content-Type", "Allow", "WWW-Authenticate", "Set-Cookie", "Content-Disposition", "Content-Length"}

// compareResponses lists in what an answer differs from the recorded one.
func compareResponses(m mapping, x *exchange, got *response) []string {
	want := &x.Response
	var diffs []string
	if want.Status != got.Status {
		diffs = append(diffs, fmt.Sprintf("status %d, recorded %d", got.Status, want.Status))
	}
	for _, name := range comparedHeaders {
		w, g := normalAll(want.header(name)), normalAll(got.header(name))
		if name == "Content-Length" && len(w) == 1 && len(g) == 1 && (w[0] == "0") == (g[0] == "0") {
			continue
		}
		if name == "Content-Length" && len(w) == 0 && want.Status == got.Status && len(want.header("Transfer-Encoding")) == 0 {
			continue // the recorder has left it out
		}
		if !slices.Equal(w, g) {
			diffs = append(diffs, fmt.Sprintf("%s %q, recorded %q", name, g, w))
		}
	}
	diffs = append(diffs, compareTokens(want, got)...)
	return append(diffs, compareBodies(x, got)...)
}

// compareTokens compares what tokens say: their claims, and how long they live.
func compareTokens(want, got *response) []string {
	w := tokenForm.FindAllString(tokenText(want), -1)
	g := tokenForm.FindAllString(tokenText(got), -1)
	if len(w) != len(g) {
		return []string{fmt.Sprintf("%d tokens, recorded %d", len(g), len(w))}
	}
	var diffs []string
	for i := range w {
		a, lifeA, errA := tokenClaims(w[i])
		b, lifeB, errB := tokenClaims(g[i])
		if errA != nil || errB != nil || a != b || lifeA != lifeB {
			diffs = append(diffs, fmt.Sprintf("token %s, %d s %v, recorded %s, %d s %v", b, lifeB, errB, a, lifeA, errA))
		}
	}
	return diffs
}

// tokenText is where an answer has tokens. That they stand in it in the same
// places the other comparisons see.
func tokenText(r *response) string {
	return string(r.bytes()) + strings.Join(r.header("Set-Cookie"), " ")
}

// tokenClaims writes the claims of a token without what differs from session
// to session, and the seconds of its life.
func tokenClaims(token string) (claims string, life int64, err error) {
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		return "", 0, err
	}
	n, err := parseNode(raw)
	if err != nil {
		return "", 0, err
	}
	var times struct{ Nbf, Exp int64 }
	if err := json.Unmarshal(raw, &times); err != nil {
		return "", 0, err
	}
	for i, name := range n.names {
		text := n.members[i].text
		switch name {
		case "fam":
			if text != "temporary" {
				text = fmt.Sprintf("%d characters", len(text))
			}
		case "nce":
			text = normal(text)
		case "cnt":
			text = digits.ReplaceAllString(text, "<n>")
		case "iat":
			text = fraction.ReplaceAllString(text, "<seconds>")
		case "nbf", "exp":
			text = "<seconds>"
		}
		claims += fmt.Sprintf("%s=%s(%s) ", name, n.members[i].kind, text)
	}
	return claims, times.Exp - times.Nbf, nil
}

var fraction = regexp.MustCompile(`^-?\d{10}(\.\d{1,7})?$`)

func normalAll(list []string) []string {
	out := []string{}
	for _, s := range list {
		out = append(out, normal(s))
	}
	return out
}

func compareBodies(x *exchange, got *response) []string {
	w, g := x.Response.bytes(), got.bytes()
	if aescrypt.Is(w) {
		u, err := url.Parse(x.Request.Path)
		if err != nil {
			return []string{err.Error()}
		}
		pass := secret.New(u.Query().Get("passphrase"))
		plainW, errW := aescrypt.Decrypt(w, pass)
		plainG, errG := aescrypt.Decrypt(g, pass)
		if errW != nil || errG != nil {
			return []string{fmt.Sprintf("decrypt: %v, recorded %v", errG, errW)}
		}
		w, g = plainW, plainG
	}
	if json.Valid(w) && json.Valid(g) && len(w) > 0 {
		if strings.HasPrefix(x.Request.Path, "/api/v1/logdata/poll") { // numbered with all that nobody records
			w, g = liveID.ReplaceAll(w, nil), liveID.ReplaceAll(g, nil)
		}
		return compareJSON(w, g)
	}
	if a, b := normal(string(w)), normal(string(g)); a != b {
		return []string{fmt.Sprintf("body %q, recorded %q", short(b), short(a))}
	}
	return nil
}

var digits = regexp.MustCompile(`\d+`)

var liveID = regexp.MustCompile(`"ID":\d+,`)

func short(s string) string {
	if len(s) > 300 {
		return s[:300] + "..."
	}
	return s
}

// node is a JSON value that remembers the order of members.
type node struct {
	kind    string // object, array, or the text of a scalar's kind
	text    string
	names   []string
	members []node
}

func parseNode(raw []byte) (node, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	return readNode(dec)
}

func readNode(dec *json.Decoder) (node, error) {
	tok, err := dec.Token()
	if err != nil {
		return node{}, err
	}
	switch v := tok.(type) {
	case nil:
		return node{kind: "null", text: "null"}, nil
	case bool:
		return node{kind: "bool", text: fmt.Sprint(v)}, nil
	case json.Number:
		return node{kind: "number", text: v.String()}, nil
	case string:
		return node{kind: "string", text: v}, nil
	}
	n := node{kind: "array"}
	if tok == json.Delim('{') {
		n.kind = "object"
	}
	for dec.More() {
		if n.kind == "object" {
			key, err := dec.Token()
			if err != nil {
				return n, err
			}
			n.names = append(n.names, key.(string))
		}
		item, err := readNode(dec)
		if err != nil {
			return n, err
		}
		n.members = append(n.members, item)
	}
	_, err = dec.Token()
	return n, err
}

func compareJSON(want, got []byte) []string {
	w, err := parseNode(want)
	if err != nil {
		return []string{"recorded: " + err.Error()}
	}
	g, err := parseNode(got)
	if err != nil {
		return []string{err.Error()}
	}
	return compareNodes("", "", w, g)
}

// measured are numbers that depend on what a run put where, and how fast: the
// sizes of encrypted volumes, the space of a disk, counters of events.
var measured = map[string]bool{}

func init() {
	for _, name := range strings.Fields(`
		LastEventID LastDataUpdateID LastNotificationUpdateID OperationID Timestamp FreeSpace
		BytesUploaded BytesDownloaded KnownFileSize Size FreeQuotaSpace BackendFileSize BackendFileProgress BackendSpeed FileId ProcessedFileCount ProcessedFileSize`) {
		measured[name] = true
	}
}

// measuredText are those that are written as text.
var measuredText = map[string]bool{"FreeQuotaSpace": true, "TargetFilesSize": true, "TargetSizeString": true, "last-webserver-port": true, "last-update-check": true, "paused-until": true}

func compareNodes(path, name string, w, g node) []string {
	differs := func() []string {
		return []string{fmt.Sprintf("%s: %s, recorded %s", path, show(g), show(w))}
	}
	if w.kind != g.kind {
		return differs()
	}
	switch w.kind {
	case "object":
		if stopped(w) && stopped(g) {
			w, g = w.withoutNumbers(), g.withoutNumbers()
		}
		if !slices.Equal(w.names, g.names) {
			return []string{fmt.Sprintf("%s: members %q, recorded %q", path, onlyIn(g.names, w.names), onlyIn(w.names, g.names))}
		}
		var diffs []string
		for i, n := range w.names {
			diffs = append(diffs, compareNodes(path+"."+n, n, w.members[i], g.members[i])...)
		}
		return diffs
	case "array":
		return compareArrays(path, name, w, g)
	case "number":
		if w.text != g.text && !measured[name] && !sameNumber(w.text, g.text) {
			return differs()
		}
	case "string":
		return compareTexts(path, name, w.text, g.text)
	default:
		if w.text != g.text {
			return differs()
		}
	}
	return nil
}

// stopped tells a version that is not full and the result of a run that did not come to its end, whose numbers
// depend on when that was.
func stopped(n node) bool {
	if full := n.member("IsFullBackup").text; full == "false" || full == "0" {
		return true
	}
	return n.member("PartialBackup").text == "true" || n.member("ExaminedFiles").text != "0" && n.member("PartialBackup").kind != "" &&
		(n.member("ParsedResult").text == "Fatal" || n.member("ParsedResult").text == "Error")
}

// withoutNumbers is the node with each number taken for the same, and without
// the lines that tell of each transfer.
func (n node) withoutNumbers() node {
	if n.kind == "number" {
		return node{kind: "number", text: "0"}
	}
	out := n
	out.members = nil
	for i, m := range n.members {
		if n.kind == "object" && n.names[i] == "Messages" && m.kind == "array" {
			m.members = nil
		}
		out.members = append(out.members, m.withoutNumbers())
	}
	return out
}

func sameNumber(a, b string) bool {
	return strings.TrimSuffix(a, ".0") == strings.TrimSuffix(b, ".0")
}

// onlyIn is what a has and b has not, or "(order)".
func onlyIn(a, b []string) []string {
	out := slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
	if len(out) == 0 {
		return []string{"(order)"}
	}
	return out
}

func show(n node) string {
	if n.kind == "object" || n.kind == "array" {
		return fmt.Sprintf("%s of %d", n.kind, len(n.members))
	}
	return n.kind + " " + short(n.text)
}

func compareArrays(path, name string, w, g node) []string {
	if len(w.members) != len(g.members) {
		return []string{fmt.Sprintf("%s: %d items, recorded %d", path, len(g.members), len(w.members))}
	}
	var diffs []string
	for i := range w.members {
		diffs = append(diffs, compareNodes(fmt.Sprintf("%s[%d]", path, i), name, w.members[i], g.members[i])...)
	}
	return diffs
}

// compareTexts compares texts that are no times, tokens, names of volumes and
// the like; documents inside of texts are compared as such, of a stack trace
// only the first line counts.
func compareTexts(path, name, w, g string) []string {
	switch {
	case name == "Exception":
		w, _, _ = strings.Cut(w, "\n")
		g, _, _ = strings.Cut(g, "\n")
	case (name == "Message" || name == "Data") && strings.HasPrefix(w, "{") && strings.HasPrefix(g, "{"):
		return prefixAll(path, compareJSON([]byte(w), []byte(g)))
	case name == "Data" && strings.HasPrefix(w, "[") && strings.HasPrefix(g, "["):
		return prefixAll(path, compareFolders([]byte(w), []byte(g)))
	case name == "CurrentFilename":
		w, g = digits.ReplaceAllString(w, "<n>"), digits.ReplaceAllString(g, "<n>")
	case measuredText[name] && (w == "") == (g == ""):
		return nil
	case strings.Contains(path, "Schedule") && (name == "Time" || name == "LastRun" || name == "Item2"):
		if a, b, ok := bothTimes(w, g); ok && a.Sub(b).Abs() > 5*time.Second { // it is what the scenario's clock is set for
			return []string{fmt.Sprintf("%s: %s, recorded %s", path, g, w)}
		}
	}
	if a, b := normal(w), normal(g); a != b {
		return []string{fmt.Sprintf("%s: %q, recorded %q", path, short(b), short(a))}
	}
	return nil
}

func bothTimes(a, b string) (x, y time.Time, ok bool) {
	x, errX := time.Parse(time.RFC3339, a)
	y, errY := time.Parse(time.RFC3339, b)
	return x, y, errX == nil && errY == nil
}

// compareFolders compares listings of a destination, which are in the order
// that its file system has.
func compareFolders(want, got []byte) []string {
	w, errW := parseNode(want)
	g, errG := parseNode(got)
	if errW != nil || errG != nil {
		return []string{fmt.Sprintf("listing: %v, recorded %v", errG, errW)}
	}
	for _, n := range []node{w, g} {
		slices.SortFunc(n.members, func(a, b node) int {
			return strings.Compare(normal(a.member("Name").text), normal(b.member("Name").text))
		})
	}
	return compareNodes("", "", w, g)
}

func (n node) member(name string) node {
	if i := slices.Index(n.names, name); i >= 0 {
		return n.members[i]
	}
	return node{}
}

func prefixAll(path string, diffs []string) []string {
	for i := range diffs {
		diffs[i] = path + diffs[i]
	}
	return diffs
}

// forms are what agrees by its form alone, in the order they are looked for.
var forms = []struct {
	re   *regexp.Regexp
	name string
}{
	{tokenForm, "<token>"},
	{regexp.MustCompile(`/tmp/rec/n\d\d/`), "/var/lib/duplicati/"}, // inside of encrypted files the recorder could not tidy
	{regexp.MustCompile(`\b0001-01-01T00:00:00`), "<no time>"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?(Z|\+00:00)`), "<time $2>"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d%3A\d\d%3A\d\d%2B00%3A00`), "<time>"},
	{regexp.MustCompile(`\b\d{8}T\d{6}Z`), "<stamp>"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+00`), "<log time>"},
	{regexp.MustCompile(`\d\d/\d\d/\d{4} \d\d:\d\d:\d\d`), "<US time>"},
	{regexp.MustCompile(`\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} (19[8-9]\d|20\d\d) \d\d:\d\d:\d\d GMT`), "<http time>"},
	{regexp.MustCompile(`^\d\d:\d\d:\d\d(\.\d{7})?$`), "<span>"},
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "<guid>"},
	{regexp.MustCompile(`duplicati-([bi])[0-9a-f]{32}\.`), "duplicati-$1<volume>."},
	{regexp.MustCompile(`\b[A-Z]{10}\.sqlite`), "<database>.sqlite"},
	{regexp.MustCompile(`\(\d+(\.\d+)? (bytes|[KMG]i?B)\)`), "(<size>)"},
	{regexp.MustCompile(`^[A-Za-z0-9+/]{43}=$`), "<32 bytes>"},
}

func normal(s string) string {
	for _, f := range forms {
		s = f.re.ReplaceAllString(s, f.name)
	}
	return s
}
