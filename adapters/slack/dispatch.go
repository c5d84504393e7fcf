package slack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/slackevents"
)

// Slack waits three seconds for an acknowledgement; the rest is the network's.
const (
	ackWithin    = 2 * time.Second
	answerWithin = 2500 * time.Millisecond // of an acknowledgement that holds an answer
	httpWithin   = 2800 * time.Millisecond // of any, by HTTP: later than what came too late for an answer
	rememberFor  = 25 * time.Hour          // Slack repeats an event for up to a day
)

// delivery is one thing that Slack tells, whichever way it came.
type delivery struct {
	key         string // the same when it comes again
	command     *slack.SlashCommand
	interaction *slack.InteractionCallback
	event       *slackevents.EventsAPIEvent
	ack         func(ctx context.Context, payload any) error
}

// deliveryKey is the same for the same event, command or click, however often
// and by whichever way it comes.
func deliveryKey(id string, payload []byte) string {
	if id != "" {
		return "slack/" + id
	}
	sum := sha256.Sum256(payload)
	return "slack/" + hex.EncodeToString(sum[:16])
}

// eventKey finds the event's ID in its envelope.
func eventKey(payload []byte) string {
	var head struct {
		ID string `json:"event_id"`
	}
	_ = json.Unmarshal(payload, &head) // without an ID the whole payload is the key
	return deliveryKey(head.ID, payload)
}

// take acknowledges d and sees to it that it is worked on. It returns at once:
// what would take time has a lane. Where there is no room in the lane nothing is
// acknowledged but a command, with the reason; Slack shows the others as failed.
func (a *Adapter) take(d delivery) {
	a.health.heardAt(a.Now())
	switch {
	case d.command != nil:
		a.accept(a.calls, d, func(ctx context.Context) { a.onCommand(ctx, *d.command) })
	case d.event != nil:
		a.accept(a.quick, d, func(ctx context.Context) { a.onEvent(ctx, *d.event) })
	case d.interaction == nil:
	case d.interaction.Type == slack.InteractionTypeBlockActions:
		a.accept(a.calls, d, func(ctx context.Context) { a.onAction(ctx, *d.interaction) })
	case d.interaction.Type == slack.InteractionTypeBlockSuggestion:
		a.answer(d, func(ctx context.Context) (any, func(context.Context)) {
			return a.onSuggestion(ctx, *d.interaction), nil
		})
	case d.interaction.Type == slack.InteractionTypeViewSubmission:
		a.answer(d, func(ctx context.Context) (any, func(context.Context)) {
			return a.onSubmission(ctx, *d.interaction)
		})
	default:
		a.acknowledge(d, nil)
	}
}

// user is whose command, click or event it is.
func (d delivery) user() string {
	switch {
	case d.command != nil:
		return d.command.UserID
	case d.interaction != nil:
		return d.interaction.User.ID
	case d.event != nil:
		if opened, ok := d.event.InnerEvent.Data.(*slackevents.AppHomeOpenedEvent); ok {
			return opened.User
		}
	}
	return ""
}

// full notes that a lane takes no more.
func (a *Adapter) full(l *lane) {
	if n := a.health.busy(); n > 0 {
		a.Log.Warn("slack lane is full", "lane", l.name, "refused", n)
	}
}

// accept acknowledges first and works afterwards.
func (a *Adapter) accept(l *lane, d delivery, work func(context.Context)) {
	who := d.user()
	if !l.reserve(who) {
		a.full(l)
		if d.command != nil {
			a.acknowledge(d, map[string]string{"response_type": "ephemeral",
				"text": "Too much is under way at the moment; nothing was done. Try again in a moment."})
		}
		return
	}
	if !a.acknowledge(d, nil) {
		l.release(who)
		return
	}
	l.run(who, func() {
		defer a.recovered("delivery")
		if a.first(d.key, callWithin) {
			work(a.jobCtx)
		}
	})
}

// answer works first, within the time of an acknowledgement, and sends with it
// what came out. What is left to do goes on in the lane for calls.
func (a *Adapter) answer(d delivery, work func(context.Context) (payload any, rest func(context.Context))) {
	who := d.user()
	if !a.quick.reserve(who) {
		a.full(a.quick)
		return
	}
	a.quick.run(who, func() {
		defer a.recovered("answer")
		if d.interaction.Type == slack.InteractionTypeViewSubmission && !a.first(d.key, ackWithin) {
			a.acknowledge(d, nil)
			return
		}
		ctx, cancel := context.WithTimeout(a.jobCtx, answerWithin)
		payload, rest := work(ctx)
		cancel()
		if rest == nil {
			a.acknowledge(d, payload)
			return
		}
		if !a.calls.reserve(who) {
			a.full(a.calls)
			return
		}
		if !a.acknowledge(d, payload) {
			a.calls.release(who)
			return
		}
		a.calls.run(who, func() {
			defer a.recovered("submission")
			rest(a.jobCtx)
		})
	})
}

func (a *Adapter) acknowledge(d delivery, payload any) bool {
	ctx, cancel := context.WithTimeout(context.Background(), ackWithin)
	defer cancel()
	if err := d.ack(ctx, payload); err != nil {
		a.Log.Warn("slack delivery not acknowledged, so not worked on", "error", err)
		return false
	}
	return true
}

// first reports whether this delivery has not been seen: in this process, or in
// another on the same store. While the store cannot be written the process's own
// memory has to do, so that reading and denying go on.
func (a *Adapter) first(key string, within time.Duration) bool {
	if !a.seen.add(key, a.Now()) {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	first, err := a.Deliveries.Begin(ctx, key, rememberFor)
	if err != nil {
		a.Log.Error("slack delivery not remembered", "error", err)
		return true
	}
	return first
}

// memory is what this process has seen of late.
type memory struct {
	mu    sync.Mutex
	seen  map[string]time.Time
	swept time.Time
}

func newMemory() *memory { return &memory{seen: map[string]time.Time{}} }

func (m *memory) add(key string, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.Sub(m.swept) > time.Hour {
		for k, at := range m.seen {
			if now.Sub(at) > rememberFor {
				delete(m.seen, k)
			}
		}
		m.swept = now
	}
	if _, known := m.seen[key]; known {
		return false
	}
	m.seen[key] = now
	return true
}

// lane works on a bounded number of jobs at a time, and lets a bounded number
// wait, of one person only a part of them: whoever asks a thousand times keeps
// nobody else out.
type lane struct {
	name    string
	working chan struct{}
	jobs    sync.WaitGroup

	mu   sync.Mutex
	room int
	here int
	of   map[string]int // by user
}

// part is which part of a lane's room one person can take.
const part = 8

func newLane(name string, working, room int) *lane {
	return &lane{name: name, room: room, working: make(chan struct{}, working), of: map[string]int{}}
}

// reserve takes a place for a person, if there is one; run or release follows.
func (l *lane) reserve(who string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.here >= l.room || l.of[who] >= l.room/part {
		return false
	}
	l.here++
	l.of[who]++
	return true
}

func (l *lane) release(who string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.here--
	if l.of[who]--; l.of[who] == 0 {
		delete(l.of, who)
	}
}

func (l *lane) run(who string, job func()) {
	l.jobs.Go(func() {
		defer l.release(who)
		l.working <- struct{}{}
		defer func() { <-l.working }()
		job()
	})
}

func (l *lane) busy() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.here
}

func (l *lane) wait() { l.jobs.Wait() }

// errAckSize keeps an acknowledgement from being dropped without a word.
var errAckSize = errors.New("the acknowledgement is larger than Slack takes")

// ackSize is nil for a payload that Slack takes.
func ackSize(payload any) error {
	if payload == nil {
		return nil
	}
	body, err := json.Marshal(payload)
	if err == nil && len(body) > maxAckBytes-200 {
		return errAckSize
	}
	return err
}
