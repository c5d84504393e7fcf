package watch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/duplibot/duplibot/duplicati"
)

// Clients gives clients that are logged in.
type Clients interface {
	Client(ctx context.Context, server string) (*duplicati.Client, error)
}

// Notes keep values across restarts.
type Notes interface {
	Read(ctx context.Context, name string) (value string, ok bool, err error)
	Write(ctx context.Context, name, value string) error
}

// Movement is how far what runs has come.
type Movement struct {
	Server   string
	Backup   string // ID; "" when the task belongs to none
	Name     string
	Progress duplicati.Progress
}

// Options say what is watched and who is told.
type Options struct {
	Servers []string
	Clients Clients
	Notes   Notes

	// Tell hears of each problem; Changed of each server whose state or
	// results are not as they were; Moved, about once a second, of progress.
	// They return at once. Changed and Moved may be nil.
	Tell    func(Problem)
	Changed func(server string)
	Moved   func(Movement)

	Poll     time.Duration // between looks when nothing is heard; 0 is a minute
	Grace    time.Duration // before a backup is overdue, and before one that waits for the end of a pause counts; 0 is half an hour
	Patience time.Duration // before a silent server, and a queue of which nothing starts, counts; 0 is two minutes
	Stall    time.Duration // before a run that shows no movement counts; 0 is an hour

	Now func() time.Time // nil is time.Now
	Log *slog.Logger     // nil is slog.Default
}

// Watcher watches servers.
type Watcher struct {
	o       Options
	servers []*server
}

// New returns a Watcher. It asks nobody yet.
func New(o Options) (*Watcher, error) {
	if o.Clients == nil || o.Notes == nil || o.Tell == nil {
		return nil, errors.New("watch: Clients, Notes and Tell are needed")
	}
	for _, d := range []struct {
		value *time.Duration
		usual time.Duration
	}{{&o.Poll, time.Minute}, {&o.Grace, 30 * time.Minute}, {&o.Patience, 2 * time.Minute}, {&o.Stall, time.Hour}} {
		if *d.value < 0 {
			return nil, errors.New("watch: a time is negative")
		}
		if *d.value == 0 {
			*d.value = d.usual
		}
	}
	if o.Changed == nil {
		o.Changed = func(string) {}
	}
	if o.Moved == nil {
		o.Moved = func(Movement) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	w := &Watcher{o: o}
	for _, name := range o.Servers {
		if slices.ContainsFunc(w.servers, func(s *server) bool { return s.name == name }) {
			return nil, fmt.Errorf("watch: server %s is there twice", name)
		}
		w.servers = append(w.servers, newServer(&w.o, name))
	}
	return w, nil
}

// Run watches until ctx ends.
func (w *Watcher) Run(ctx context.Context) error {
	var all sync.WaitGroup
	for _, s := range w.servers {
		all.Go(func() { s.run(ctx) })
		all.Go(func() { s.listen(ctx) })
	}
	all.Wait()
	return ctx.Err()
}

// Look looks at one server at once. That it does not answer is a problem that
// is told, and no error; an error is one of ctx, of the notes, or an unknown
// name.
func (w *Watcher) Look(ctx context.Context, name string) error {
	for _, s := range w.servers {
		if s.name == name {
			return s.look(ctx)
		}
	}
	return fmt.Errorf("watch: there is no server %s", name)
}

// Problems lists what is there now, of one server or, for "", of all, oldest
// first.
func (w *Watcher) Problems(name string) []Problem {
	var out []Problem
	for _, s := range w.servers {
		if name == "" || s.name == name {
			out = append(out, s.open()...)
		}
	}
	slices.SortFunc(out, func(a, b Problem) int {
		if c := a.Since.Compare(b.Since); c != 0 {
			return c
		}
		return strings.Compare(a.Key, b.Key)
	})
	return out
}
