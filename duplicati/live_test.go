package duplicati_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/duplicati/duplicatitest"
	"github.com/duplibot/duplibot/secret"
)

const password = "correct-password"

// keeper is the simplest Tokens: it logs in anew when a token is rejected.
type keeper struct {
	c        *duplicati.Client
	password string

	mu       sync.Mutex
	s        duplicati.Session
	rejected int
}

func (k *keeper) Access(ctx context.Context) (secret.Value, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.s.Access.Empty() {
		s, err := k.c.Login(ctx, secret.New(k.password), true)
		if err != nil {
			return secret.Value{}, err
		}
		k.s = s
	}
	return k.s.Access, nil
}

func (k *keeper) Rejected(_ context.Context, token secret.Value) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.rejected++
	if k.s.Access.Equal(token) {
		k.s = duplicati.Session{}
	}
	return nil
}

// live is a simulated server and a client that is logged in.
type live struct {
	*duplicatitest.Server
	c      *duplicati.Client // logged in
	bare   *duplicati.Client
	tokens *keeper
}

func start(t *testing.T, generation string, change func(*duplicatitest.Options)) *live {
	t.Helper()
	o := duplicatitest.Options{Generation: generation, Password: password}
	if change != nil {
		change(&o)
	}
	l := &live{Server: duplicatitest.Start(t, o)}
	bare, err := duplicati.New(duplicati.Options{URL: l.URL, Now: l.Clock().Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bare.Close)
	l.bare, l.tokens = bare, &keeper{c: bare, password: password}
	l.c = bare.With(l.tokens)
	return l
}

// add configures a backup, as the server's own web page would.
func (l *live) add(t *testing.T, name, schedule string) string {
	t.Helper()
	token, err := l.tokens.Access(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	body := fmt.Sprintf(`{"Backup":{"Name":%q,"TargetURL":"file:///data/dst/%s?auth-password=canary-secret","Sources":["/data/src/%s/"],"Filters":[],
		"Settings":[{"Name":"encryption-module","Value":"aes"},{"Name":"passphrase","Value":"canary-passphrase"},{"Name":"dblock-size","Value":"5mb"}]},"Schedule":%s}`,
		name, name, name, schedule)
	req, _ := http.NewRequest("POST", l.URL+"/api/v1/backups", strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token.Reveal())
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	var r struct{ ID string }
	if err := json.Unmarshal(b, &r); err != nil || r.ID == "" {
		t.Fatalf("create backup: %d %s", res.StatusCode, b)
	}
	return r.ID
}

// run runs a backup to its end.
func (l *live) run(t *testing.T, id string) duplicati.Task {
	t.Helper()
	task, err := l.c.Run(context.Background(), id, false)
	if err != nil {
		t.Fatal(err)
	}
	for range 200 {
		got, err := l.c.Task(context.Background(), task)
		if err != nil {
			t.Fatal(err)
		}
		if got.Status.Over() {
			return got
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the task does not end")
	return duplicati.Task{}
}

func everyGeneration(t *testing.T, f func(t *testing.T, g string)) {
	for _, g := range duplicatitest.Generations() {
		t.Run(g, func(t *testing.T) { f(t, g) })
	}
}

func ptr[T any](v T) *T { return &v }

func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	for range 500 {
		if f() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("waited in vain until %s", what)
}
