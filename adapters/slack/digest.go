package slack

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/duplibot/duplibot/tools"
)

// digestLate is how late a digest still comes: later it would come at a time when
// nobody looks for it.
const digestLate = time.Hour

// remind answers, in its thread and visibly in the channel, the message of a
// problem that is open for long.
func (s *problems) remind(ctx context.Context, alert Alert, posted []Message) {
	now := s.a.Now()
	if s.a.Remind <= 0 || len(posted) == 0 || now.Before(alert.MutedUntil) {
		return
	}
	turn := int64(now.Sub(alert.Since) / s.a.Remind)
	if turn < 1 {
		return
	}
	// The note outlives the turn, however long that is.
	keep := s.a.Remind + 30*24*time.Hour
	s.once(ctx, fmt.Sprintf("slack/remind/%s/%d/%d", alert.Problem, alert.Since.UnixMilli(), turn), keep, func(ctx context.Context) error {
		at := posted[0]
		if e := s.a.channels.mayPost(ctx, at.Channel); e != nil {
			return e
		}
		ctx, cancel := whole(ctx)
		defer cancel()
		m := words(toneNamed(alert.Severity), fmt.Sprintf("Still so: %s. Noticed %s.", cut(alert.Summary, 500), stamp(alert.Since)))
		_, err := s.a.api.post(ctx, at.Channel, at.TS, m)
		return err
	})
}

// once does what is said once, whatever happens in between; what surely was not
// said is tried again.
func (s *problems) once(ctx context.Context, key string, keep time.Duration, say func(context.Context) error) {
	first, err := s.a.Deliveries.Begin(ctx, key, keep)
	if err != nil || !first {
		if err != nil && ctx.Err() == nil {
			s.a.Log.Error("slack message not begun", "what", key, "error", err)
		}
		return
	}
	if err := say(ctx); err != nil && !errors.Is(err, errMaybeSent) {
		s.a.Log.Warn("slack message not posted", "what", key, "error", err)
		ctx, cancel := whole(ctx)
		defer cancel()
		if err := s.a.Deliveries.Release(ctx, key); err != nil {
			s.a.Log.Error("slack message not released", "what", key, "error", err)
		}
	}
}

// digest says once a day, after its time, how the servers are and what is open.
// The servers are asked beside the alerts, which wait for nobody.
func (s *problems) digest() {
	channel := s.a.alertChannel("other")
	due, ok := digestDue(s.a.DigestAt, s.a.Now())
	if !ok || channel == "" || !s.digesting.CompareAndSwap(false, true) {
		return
	}
	s.a.background(func(ctx context.Context) {
		defer s.digesting.Store(false)
		s.once(ctx, "slack/digest/"+due.Format(time.DateOnly), 30*24*time.Hour, func(ctx context.Context) error {
			m, err := s.digestMessage(ctx)
			if err != nil {
				return err
			}
			ctx, cancel := whole(ctx)
			defer cancel()
			_, err = s.a.send(ctx, channel, m)
			return err
		})
	})
}

// digestDue is the time of the digest that is due now, by the clock on the wall
// where now is. An hour that a change of the clocks takes away or gives twice
// still has one digest, since it is one day's.
func digestDue(at string, now time.Time) (due time.Time, ok bool) {
	wall, err := time.Parse("15:04", at)
	if err != nil {
		return time.Time{}, false
	}
	for _, day := range []int{now.Day(), now.Day() - 1} { // shortly after midnight it is yesterday's
		due = time.Date(now.Year(), now.Month(), day, wall.Hour(), wall.Minute(), 0, 0, now.Location())
		if late := now.Sub(due); late >= 0 && late <= digestLate {
			return due, true
		}
	}
	return time.Time{}, false
}

// digestMessage is the state of the servers and what is open, muted ones too.
func (s *problems) digestMessage(ctx context.Context) (message, error) {
	ask, cancel := context.WithTimeout(ctx, homeWithin)
	defer cancel()
	v, err := s.a.Digest(ask)
	if ctx.Err() != nil {
		return message{}, ctx.Err()
	}
	open, unread := s.a.Alerts.Open(ctx)
	if unread != nil {
		return message{}, unread
	}
	if err != nil {
		v = tools.View{Headline: "how the servers are cannot be told: " + s.a.asError(err).Error(), Tone: tools.Unclear}
	}
	if v.Tone == tools.Good && len(open) == 0 {
		v.Headline = "all well, " + v.Headline
	}
	v.Headline = "Daily summary: " + v.Headline
	// The worst comes first, and the oldest of these.
	slices.SortStableFunc(open, func(a, b Alert) int {
		x, y := toneNamed(a.Severity), toneNamed(b.Severity)
		switch {
		case x == y:
			return 0
		case x.Worse(y) == x:
			return -1
		}
		return 1
	})
	var lines []string
	for _, alert := range open {
		v.Tone = v.Tone.Worse(toneNamed(alert.Severity))
		words := fmt.Sprintf("%s (noticed %s)", cut(alert.Summary, 300), stamp(alert.Since))
		if s.a.Now().Before(alert.MutedUntil) {
			words += ", muted until " + stamp(alert.MutedUntil)
		}
		lines = append(lines, toned(toneNamed(alert.Severity), words))
	}
	switch len(lines) {
	case 0:
	case 1:
		lines = append([]string{"One problem is open:"}, lines...)
	default:
		lines = append([]string{fmt.Sprintf("%d problems are open:", len(lines))}, lines...)
	}
	return listMessage(v, lines), nil
}

// toneNamed is the tone that a severity names.
func toneNamed(severity string) tools.Tone {
	for _, t := range []tools.Tone{tools.Bad, tools.Warning, tools.Notice} {
		if t.String() == severity {
			return t
		}
	}
	return tools.Unclear
}
