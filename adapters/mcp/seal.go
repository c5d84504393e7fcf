package mcp

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// sealer signs what passes through a client and comes back. Its key lives as
// long as the process.
type sealer struct{ key [32]byte }

func (s *sealer) mac(b []byte) []byte {
	h := hmac.New(sha256.New, s.key[:])
	h.Write(b)
	return h.Sum(nil)
}

func (s *sealer) seal(b []byte) string {
	return base64.RawURLEncoding.EncodeToString(b) + "." + base64.RawURLEncoding.EncodeToString(s.mac(b))
}

func (s *sealer) open(text string) ([]byte, bool) {
	body, sum, ok := strings.Cut(text, ".")
	if !ok {
		return nil, false
	}
	b, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil {
		return nil, false
	}
	mac, err := base64.RawURLEncoding.DecodeString(sum)
	if err != nil || !hmac.Equal(mac, s.mac(b)) {
		return nil, false
	}
	return b, true
}
