package duplicati_test

import (
	"context"
	"io"
	"net/http"
	"testing"

	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/duplicati/duplicatitest"
	"github.com/duplibot/duplibot/secret"
)

// BenchmarkState is one call, beside the same bytes fetched by net/http alone.
func BenchmarkState(b *testing.B) {
	s := duplicatitest.Start(b, duplicatitest.Options{Password: password})
	c, err := duplicati.New(duplicati.Options{URL: s.URL})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	opened, err := c.Login(context.Background(), secret.New(password), true)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("client", func(b *testing.B) {
		logged := c.With(&keeper{c: c, s: opened})
		for b.Loop() {
			if _, err := logged.State(context.Background()); err != nil {
				b.Fatal(err)
			}
			s.ForgetRequests()
		}
	})
	b.Run("net/http", func(b *testing.B) {
		for b.Loop() {
			req, err := http.NewRequest("GET", s.URL+"/api/v1/serverstate", nil)
			if err != nil {
				b.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+opened.Access.Reveal())
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, res.Body); err != nil {
				b.Fatal(err)
			}
			res.Body.Close()
			s.ForgetRequests()
		}
	})
}
