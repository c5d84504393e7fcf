package duplicati

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"

	"github.com/duplibot/duplibot/secret"
)

// Destination is what of a storage URL may be shown.
type Destination struct {
	Scheme string // "s3", "ssh", "file"
	Host   string // host and port, or a bucket; "" when there is none or it is not plain
	// Digest tells destinations apart: it is of scheme, host and path, without
	// user, password and options. Two backups with the same one share a folder.
	Digest string
}

// String is scheme://host.
func (d Destination) String() string { return d.Scheme + "://" + d.Host }

var (
	plainScheme = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*$`)
	plainHost   = regexp.MustCompile(`^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?$`)
)

// destinationOf cuts a storage URL down. Storage URLs are Duplicati's own
// kind: passwords in them need not be escaped, so that where one could hide,
// no host is shown.
func destinationOf(target string) Destination {
	var d Destination
	scheme, rest, found := strings.Cut(target, "://")
	if !found || !plainScheme.MatchString(scheme) {
		sum := sha256.Sum256([]byte(target))
		return Destination{Scheme: "unknown", Digest: hex.EncodeToString(sum[:8])}
	}
	d.Scheme = strings.ToLower(scheme)
	place, _, _ := strings.Cut(rest, "?")
	authority, path, _ := strings.Cut(place, "/")
	host := authority[strings.LastIndex(authority, "@")+1:]
	if plainHost.MatchString(host) && !(strings.Contains(path, "@") && strings.Contains(authority, ":")) {
		d.Host = strings.ToLower(host)
	} else if host != "" {
		path = place[strings.LastIndex(place, "@")+1:]
	}
	sum := sha256.Sum256([]byte(d.Scheme + "://" + d.Host + "/" + strings.Trim(path, "/")))
	d.Digest = hex.EncodeToString(sum[:8])
	return d
}

// TargetMAC is a keyed digest of a whole storage URL, credentials included:
// what a plan binds to, so that any change of it shows.
func TargetMAC(target secret.Value, key []byte) string {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(target.Reveal()))
	return hex.EncodeToString(m.Sum(nil))
}

// source cuts a source down: a remote one, "@/folder|url", holds a storage
// URL.
func source(text string) string {
	mount, url, remote := strings.Cut(text, "|")
	if strings.HasPrefix(text, "@") && remote {
		return mount + "|" + destinationOf(url).String() + "/…"
	}
	return text
}
