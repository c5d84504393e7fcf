package slack

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/duplibot/duplibot/tools"
)

// remind answers, in its thread, the message of a problem that is open for long.
func (s *problems) remind(ctx context.Context) {
	if s.a.Remind <= 0 {
		return
	}
	open, err := s.a.Alerts.Open(ctx)
	if err != nil {
		s.a.Log.Error("problems not read", "error", err)
		return
	}
	now := s.a.Now()
	for _, alert := range open {
		turn := int64(now.Sub(alert.Since) / s.a.Remind)
		if turn < 1 || now.Before(alert.MutedUntil) {
			continue
		}
		posted, err := s.a.Messages.About(ctx, kindAlert, alert.Problem)
		if err != nil || len(posted) == 0 {
			continue
		}
		s.once(ctx, fmt.Sprintf("slack/remind/%s/%d/%d", alert.Problem, alert.Since.UnixMilli(), turn), func(ctx context.Context) error {
			at := posted[0]
			if e := s.a.channels.mayPost(ctx, at.Channel); e != nil {
				return e
			}
			m := words(tools.Notice, fmt.Sprintf("Still so, since %s: %s", stamp(alert.Since), alert.Summary))
			_, err := s.a.api.post(ctx, at.Channel, at.TS, m)
			return err
		})
	}
}

// once does what is said once, whatever happens in between; what surely was not
// said is tried again.
func (s *problems) once(ctx context.Context, key string, say func(context.Context) error) {
	ctx, cancel := whole(ctx)
	defer cancel()
	first, err := s.a.Deliveries.Begin(ctx, key, 30*24*time.Hour)
	if err != nil || !first {
		return
	}
	if err := say(ctx); err != nil && !errors.Is(err, errMaybeSent) {
		s.a.Log.Warn("slack message not posted", "what", key, "error", err)
		if err := s.a.Deliveries.Release(ctx, key); err != nil {
			s.a.Log.Error("slack message not released", "what", key, "error", err)
		}
	}
}

// digest says once a day, after its time, what is open.
func (s *problems) digest(ctx context.Context) {
	channel := s.a.alertChannel("other")
	if s.a.DigestAt == "" || channel == "" {
		return
	}
	now := s.a.Now().Local()
	at, err := time.ParseInLocation("15:04", s.a.DigestAt, now.Location())
	due := time.Date(now.Year(), now.Month(), now.Day(), at.Hour(), at.Minute(), 0, 0, now.Location())
	// An hour late is too late: it would come at a time when nobody looks for it.
	if err != nil || now.Before(due) || now.Sub(due) > time.Hour {
		return
	}
	s.once(ctx, "slack/digest/"+now.Format(time.DateOnly), func(ctx context.Context) error {
		open, err := s.a.Alerts.Open(ctx)
		if err != nil {
			return err
		}
		v := tools.View{Headline: "Every server's state of today"}
		if s.a.Digest != nil {
			if v, err = s.a.Digest(ctx); err != nil {
				v = tools.View{Headline: "The servers' state cannot be told: " + s.a.asError(err).Error(), Tone: tools.Unclear}
			}
		}
		_, err = s.a.send(ctx, channel, digestMessage(v, open, s.a.Now()))
		return err
	})
}

// digestMessage is the state of the servers and what is open, muted ones too.
func digestMessage(v tools.View, open []Alert, now time.Time) message {
	switch len(open) {
	case 0:
		v.Notes = append(v.Notes, "No problem is open.")
	case 1:
		v.Notes = append(v.Notes, "One problem is open:")
	default:
		v.Notes = append(v.Notes, fmt.Sprintf("%d problems are open:", len(open)))
	}
	for _, alert := range open {
		words := fmt.Sprintf("%s: %s, since %s", alert.Severity, alert.Summary, stamp(alert.Since))
		if now.Before(alert.MutedUntil) {
			words += ", muted until " + stamp(alert.MutedUntil)
		}
		v.Notes = append(v.Notes, words)
	}
	return viewMessage(v)
}
