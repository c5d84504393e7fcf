package mcp

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// budgets are what each caller may use at a time, by identity: several tokens
// of one person do not share, several connections of one token do.
type budgets struct {
	limits Limits

	mu  sync.Mutex
	all map[string]*budget
}

type budget struct {
	limiter *rate.Limiter

	mu      sync.Mutex
	users   int // requests that hold it; under budgets.mu
	calls   int
	streams int
}

func newBudgets(l Limits) *budgets { return &budgets{limits: l, all: map[string]*budget{}} }

// budgetsKept is how many are kept before idle ones are forgotten.
const budgetsKept = 1024

func (b *budgets) of(identity string) *budget {
	b.mu.Lock()
	defer b.mu.Unlock()
	found := b.all[identity]
	if found == nil {
		if len(b.all) >= budgetsKept {
			b.forget()
		}
		found = &budget{limiter: rate.NewLimiter(rate.Limit(b.limits.Rate), b.limits.Burst)}
		b.all[identity] = found
	}
	found.users++
	return found
}

func (b *budgets) done(found *budget) {
	b.mu.Lock()
	defer b.mu.Unlock()
	found.users--
}

// forget drops those that nobody holds and that are full again.
func (b *budgets) forget() {
	for identity, found := range b.all {
		if found.users == 0 && found.limiter.Tokens() >= float64(b.limits.Burst) {
			delete(b.all, identity)
		}
	}
}

// take uses up one request; where there is none it says when there will be.
func (b *budget) take() (wait time.Duration) {
	r := b.limiter.Reserve()
	if wait = r.Delay(); wait > 0 {
		r.Cancel()
	}
	return wait
}

func (b *budget) enter(n *int, limit int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if *n >= limit {
		return false
	}
	*n++
	return true
}

func (b *budget) leave(n *int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	*n--
}
