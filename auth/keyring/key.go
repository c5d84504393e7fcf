package keyring

import (
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

const (
	// ServerPrefix begins the keys that [ServerKey] makes. No reference that
	// a person writes may name such a key.
	ServerPrefix = "server."

	prefix   = "duplibot."
	slugSize = 48
)

var (
	keyForm  = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,120}$`)
	notASlug = regexp.MustCompile(`[^a-z0-9.]+`)
)

// CheckKey returns an error unless key is of the form that all backends keep
// apart: 1 to 121 of a-z 0-9 . _ - beginning with a letter or digit.
func CheckKey(key string) error {
	if !keyForm.MatchString(key) {
		return errors.New("not a key of the keyring: 1 to 121 of the characters a-z 0-9 . _ - are allowed, the first a letter or a digit")
	}
	return nil
}

// ServerKey returns the key for what belongs to the server at origin, such as
// https://nas.lan:8200 or https://proxy.lan/duplicati. Ways to write the same
// origin give the same key, others another one: a token never goes to a server
// that it was not issued by.
func ServerKey(origin string) (string, error) {
	u, err := url.Parse(origin)
	if err != nil {
		return "", errors.New("key for a server: its address is not a URL; give one like https://nas.lan:8200")
	}
	scheme := strings.ToLower(u.Scheme)
	if scheme != "http" && scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("key for a server: its address must be http:// or https:// with a host, and without a user, a query or a fragment")
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[scheme]
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	path := strings.TrimRight(u.EscapedPath(), "/")
	sum := sha256.Sum256([]byte(scheme + "\n" + host + "\n" + port + "\n" + path))
	// The slug is for people who look into the keyring; the digest tells apart.
	slug := strings.Trim(notASlug.ReplaceAllString(host+"-"+port+path, "-"), "-.")
	if len(slug) > slugSize {
		slug = slug[:slugSize]
	}
	digest := strings.ToLower(base32.StdEncoding.EncodeToString(sum[:15]))
	return fmt.Sprintf("%s%s.%s", ServerPrefix, slug, digest), nil
}
