package duplicati_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/duplibot/duplibot/duplicati"
)

// FuzzAnswers sends any bytes as any answer: each call ends in a value or in
// an *Error, and no word of a password in a storage URL shows.
func FuzzAnswers(f *testing.F) {
	f.Add(200, `[{"Backup":{"ID":"1","Name":"x","TargetURL":"ftp://bob:hunter2@nas/x","Metadata":{"LastErrorMessage":"ftp://bob:hunter2@nas/x"}},"Schedule":{"Time":"2026-01-01T00:00:00Z","Repeat":"1D","AllowedDays":["mon"]}}]`)
	f.Add(500, `{"Status":"failed","Reason":"backup-in-progress","ID":20}`)
	f.Add(200, `{"ActiveTask":{"Item1":1,"Item2":"2"},"ProgramState":"Running","ProposedSchedule":[{"Item1":"1","Item2":"0001-01-01T00:00:00"}]}`)
	f.Add(200, `[{"ID":1,"Type":"Result","Message":"{\"MainOperation\":\"Backup\",\"Duration\":\"00:00:01\"}","Exception":{}}]`)
	f.Add(200, `{"AccessToken":"a.eyJleHAiOjF9.c","RefreshNonce":null}`)
	f.Add(401, `<html>`)
	p, client := newPlayer(f, duplicati.G231)
	p.now = idle
	c := client.With(fixed{})
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 200 || status > 599 || status == 204 || status == 304 {
			status = 200
		}
		p.now.Response.Status, p.now.Response.Body = status, body
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		for _, end := range endpoints {
			c.Assume(duplicati.G231)
			err := end.call(ctx, c, "1")
			var e *duplicati.Error
			if err != nil && errors.As(err, &e) && (e.Kind == "" || e.Op == "") {
				t.Fatalf("%s: an error without a kind: %#v", end.path, e)
			}
		}
		if list, err := c.Backups(ctx); err == nil {
			for _, b := range list {
				u, err := url.Parse(b.TargetURL.Reveal())
				if err != nil || u.User == nil {
					continue
				}
				if word, set := u.User.Password(); set && len(word) > 6 && strings.Contains(fmt.Sprintf("%+v", b.Destination), word) {
					t.Fatalf("%q shows as %s", b.TargetURL.Reveal(), b.Destination)
				}
				if b.Schedule != nil {
					b.Schedule.Due(time.Now(), nil)
				}
			}
		}
	})
}

// FuzzTexts reads any text as any of Duplicati's formats.
func FuzzTexts(f *testing.F) {
	for _, s := range []string{"1h30m", "1D -2h", "00:01:23.4560000", "1.02:03:04", "50mb", "99999999999", "1M", "-5m"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		duplicati.ParseSpan(text)
		duplicati.ParseSize(text, "kb")
		if d, err := duplicati.ParseDuration(text); err == nil && d > 0 && d%time.Second == 0 {
			if again, err := duplicati.ParseDuration(duplicati.FormatDuration(d)); err != nil || again != d {
				t.Fatalf("%q is %s and comes back as %s", text, d, again)
			}
		}
		now := time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)
		s := duplicati.Schedule{Next: now.AddDate(0, 0, 3), Repeat: text}
		if due, ok := s.Due(now, time.UTC); ok && due.After(now) {
			t.Fatalf("%q was due in the future, %s", text, due)
		}
	})
}
