package store_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/duplibot/duplibot/store"
	"github.com/duplibot/duplibot/tools"
)

func BenchmarkOpen(b *testing.B) {
	path := newPath(b)
	open(b, store.Options{Path: path})
	for b.Loop() {
		db, err := store.Open(b.Context(), store.Options{Path: path})
		if err != nil {
			b.Fatal(err)
		}
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpenNew(b *testing.B) {
	dir := b.TempDir()
	for i := 0; b.Loop(); i++ {
		db, err := store.Open(b.Context(), store.Options{Path: filepath.Join(dir, fmt.Sprint(i), "duplibot.db")})
		if err != nil {
			b.Fatal(err)
		}
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	db := open(b, store.Options{})
	r := tools.Record{Event: tools.EventIntent, Operation: "delete", Server: "nas", Person: "ann", Approval: "a1", Detail: `{"backup":"3"}`}
	for b.Loop() {
		if _, err := db.Audit.Append(b.Context(), r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	db := open(b, store.Options{})
	appendN(b, db, 1000)
	for b.Loop() {
		verify(b, db)
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/1000, "µs/record")
}

// benchCreate stores n requests and returns the store.
func benchCreate(b *testing.B, n int) *store.DB {
	b.Helper()
	db := open(b, store.Options{})
	for i := range n {
		if _, _, err := db.Approvals.Create(b.Context(), request(fmt.Sprintf("open-%d", i))); err != nil {
			b.Fatal(err)
		}
	}
	return db
}

func BenchmarkCreate(b *testing.B) {
	for _, n := range []int{0, 1000} {
		b.Run(fmt.Sprintf("beside-%d-open", n), func(b *testing.B) {
			db := benchCreate(b, n)
			for i := 0; b.Loop(); i++ {
				if _, _, err := db.Approvals.Create(b.Context(), request(fmt.Sprint(i))); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVote(b *testing.B) {
	db := benchCreate(b, 1000)
	for i := 0; b.Loop(); i++ {
		// Ten votes for each request, as with the largest of teams.
		id := fmt.Sprintf("open-%d", i/10%1000)
		if _, _, err := db.Approvals.Vote(b.Context(), id, yes(fmt.Sprint(i)), nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkApproval(b *testing.B) {
	db := benchCreate(b, 1000)
	for b.Loop() {
		if _, err := db.Approvals.Approval(b.Context(), "open-500"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkListThousandOpen(b *testing.B) {
	db := benchCreate(b, 1000)
	for b.Loop() {
		list, err := db.Approvals.Approvals(b.Context(), tools.Filter{States: []tools.State{tools.StatePending}, Limit: 1000})
		if err != nil || len(list) != 1000 {
			b.Fatal(len(list), err)
		}
	}
}

func BenchmarkTokenByHash(b *testing.B) {
	db := open(b, store.Options{})
	if err := db.Tokens.Create(b.Context(), store.Token{ID: "t-1", Name: "ann-laptop", Person: "ann", Hash: "4f", Toolsets: []string{"core"}}); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := db.Tokens.ByHash(b.Context(), "4f"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLock(b *testing.B) {
	l, err := store.OpenLocks(filepath.Join(b.TempDir(), "locks"))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		release, err := l.Lock(b.Context(), "nas/3")
		if err != nil {
			b.Fatal(err)
		}
		release()
	}
}
