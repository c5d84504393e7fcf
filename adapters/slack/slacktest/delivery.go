package slacktest

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What a person sees when the app does not answer.
var (
	ErrDispatchFailed   = errors.New("dispatch_failed: no connection, or the app's URL cannot be reached")
	ErrOperationTimeout = errors.New("operation_timeout: not acknowledged in time")
	ErrHTTPClient       = errors.New("http_client_error: the app did not answer 2xx")
)

// Delivery is one thing Slack told the app: a command, a click, a submission, an event.
type Delivery struct {
	ID      string // the envelope's
	Kind    string // slash_commands, interactive or events_api
	Payload json.RawMessage

	s        *Server
	payload  obj
	answers  bool // accepts_response_payload
	sent     time.Time
	attempts int
	failures int
	acks     []Ack
	err      error
	done     bool
	settle   func(json.RawMessage) // what the first acknowledgement's payload does; mu is held
}

// Ack is one acknowledgement.
type Ack struct {
	Payload    json.RawMessage
	After      time.Duration // real time since the envelope was first sent
	Connection int           // 0 in HTTP mode
}

// Wait returns the first acknowledgement, or what the person was shown instead.
func (d *Delivery) Wait(ctx context.Context) (Ack, error) {
	var ack Ack
	var err error
	waitErr := d.s.Wait(ctx, func() bool {
		d.s.mu.Lock()
		defer d.s.mu.Unlock()
		if len(d.acks) > 0 {
			ack = d.acks[0]
		}
		err = d.err
		return d.done
	})
	if waitErr != nil {
		return Ack{}, fmt.Errorf("wait for the acknowledgement of %s: %w", d.Kind, waitErr)
	}
	return ack, err
}

// Acked waits for the acknowledgement and fails the test when there is none.
func (d *Delivery) Acked() Ack {
	if d.s.tb != nil {
		d.s.tb.Helper()
	}
	ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
	defer cancel()
	ack, err := d.Wait(ctx)
	if err != nil {
		d.s.fail("%s: %v", d.Kind, err)
	}
	return ack
}

// Acks are all acknowledgements so far, late and repeated ones too.
func (d *Delivery) Acks() []Ack {
	d.s.mu.Lock()
	defer d.s.mu.Unlock()
	return slices.Clone(d.acks)
}

// Attempts is how often it was sent.
func (d *Delivery) Attempts() int {
	d.s.mu.Lock()
	defer d.s.mu.Unlock()
	return d.attempts
}

// Failures is how many attempts ended without an acknowledgement. An event that failed comes again when
// its time has come; a test waits for the failure before it advances the clock.
func (d *Delivery) Failures() int {
	d.s.mu.Lock()
	defer d.s.mu.Unlock()
	return d.failures
}

// DeliverTimes makes every envelope from now on arrive n times, on connections in turn.
func (s *Server) DeliverTimes(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.times = n
}

// Redeliver sends the same envelope once more, as it was.
func (s *Server) Redeliver(d *Delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.send(d, 0, "")
}

// Deliveries are what was told to the app so far, in no order.
func (s *Server) Deliveries() []*Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*Delivery
	for _, d := range s.deliveries {
		list = append(list, d)
	}
	return list
}

// deliver tells the app something; mu is held.
func (s *Server) deliver(kind string, payload obj, settle func(json.RawMessage)) *Delivery {
	s.seq++
	raw, err := json.Marshal(payload)
	if err != nil {
		s.fail("encode the payload: %v", err)
	}
	d := &Delivery{ID: fmt.Sprintf("%08x-0000-4000-8000-%012x", s.clock.now().Unix(), s.seq), Kind: kind, Payload: raw,
		s: s, payload: payload, answers: settle != nil, settle: settle, sent: time.Now()}
	s.deliveries[d.ID] = d
	for range s.times {
		s.send(d, 0, "")
	}
	return d
}

// retries are when an event that nobody acknowledged comes again.
// https://docs.slack.dev/apis/events-api#retries
var retries = []time.Duration{0, time.Minute, 5 * time.Minute}

// send makes one attempt; mu is held.
func (s *Server) send(d *Delivery, retry int, reason string) {
	if s.closed {
		return
	}
	d.attempts++
	attempt := len(d.acks)
	if s.opt.RequestURLs != (RequestURLs{}) {
		s.work.Go(func() { s.sendHTTP(d, retry, reason) })
		return
	}
	frame := obj{"envelope_id": d.ID, "type": d.Kind, "payload": d.Payload, "accepts_response_payload": d.answers}
	if d.Kind == "events_api" {
		frame["retry_attempt"], frame["retry_reason"] = retry, reason
	}
	if !s.sendSocket(frame) {
		s.failed(d, retry, "connection_failed", ErrDispatchFailed)
		return
	}
	s.clock.after(s.opt.AckWithin, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(d.acks) == attempt && !d.done {
			s.failed(d, retry, "http_timeout", ErrOperationTimeout)
		}
	})
}

// failed ends an attempt: an event comes again, a person is shown an error; mu is held.
func (s *Server) failed(d *Delivery, retry int, reason string, err error) {
	if len(d.acks) > 0 { // another copy of it was acknowledged
		return
	}
	d.failures++
	s.touch()
	if d.Kind == "events_api" && retry < len(retries) {
		s.clock.after(retries[retry], func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			if len(d.acks) == 0 {
				s.send(d, retry+1, reason)
			}
		})
		return
	}
	d.err, d.done = err, true
}

// acked takes an acknowledgement. Only the first one in time has an effect; mu is held.
func (s *Server) acked(d *Delivery, connection int, payload json.RawMessage) {
	late := d.done && d.err != nil
	first := len(d.acks) == 0
	d.acks = append(d.acks, Ack{Payload: payload, After: time.Since(d.sent), Connection: connection})
	d.done = true
	defer s.touch()
	if !first || late {
		return
	}
	switch string(payload) {
	case "null", "{}", `""`:
		payload = nil
	}
	switch {
	case d.settle != nil:
		d.settle(payload)
	case len(payload) > 0:
		s.violate("acknowledgement of %s: a payload where none is accepted: %.80s", d.Kind, payload)
	}
}

// sign makes the v0 signature. https://docs.slack.dev/authentication/verifying-requests-from-slack
func sign(secret, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "v0:%s:%s", timestamp, body)
	return "v0=" + hex.EncodeToString(mac.Sum(nil))
}

// SetRequestURLs turns HTTP mode on, or moves it: what is told from now on goes there.
func (s *Server) SetRequestURLs(urls RequestURLs) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opt.RequestURLs = urls
}

// SSLCheck is what Slack posts now and then to a command's URL; the app answers 200 and does nothing.
func (s *Server) SSLCheck(ctx context.Context) error {
	body := []byte(url.Values{"ssl_check": {"1"}, "token": {"verification-token"}}.Encode())
	_, err := s.ask(ctx, s.urls().Commands, "application/x-www-form-urlencoded", body)
	return err
}

// VerifyURL is the challenge with which Slack tries out an events URL.
func (s *Server) VerifyURL(ctx context.Context) error {
	const challenge = "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"
	body, err := json.Marshal(obj{"token": "verification-token", "challenge": challenge, "type": "url_verification"})
	if err != nil {
		return err
	}
	answer, err := s.ask(ctx, s.urls().Events, "application/json", body)
	if err == nil && !strings.Contains(string(answer), challenge) {
		err = fmt.Errorf("the answer is not the challenge: %.80q", answer)
	}
	return err
}

func (s *Server) urls() RequestURLs {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opt.RequestURLs
}

// ask posts a signed request and wants a 200.
func (s *Server) ask(ctx context.Context, to, contentType string, body []byte) ([]byte, error) {
	answer, err := http.DefaultClient.Do(s.SignedRequest(to, contentType, body).WithContext(ctx))
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %s", to, answer.Status)
	}
	return io.ReadAll(answer.Body)
}

// SignedRequest is a request as Slack would send it to the app's URL now; a test can keep it, change it
// and send it again.
func (s *Server) SignedRequest(to, contentType string, body []byte) *http.Request {
	r, err := http.NewRequest(http.MethodPost, to, strings.NewReader(string(body)))
	if err != nil {
		s.fail("request to %s: %v", to, err)
	}
	ts := strconv.FormatInt(s.clock.now().Unix(), 10)
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("User-Agent", "Slackbot 1.0 (+https://api.slack.com/robots)")
	r.Header.Set("X-Slack-Request-Timestamp", ts)
	r.Header.Set("X-Slack-Signature", sign(s.opt.SigningSecret, ts, body))
	return r
}

// httpBody is how a delivery looks over HTTP: commands are forms, interactions a form with one field of
// JSON, events JSON.
func (s *Server) httpBody(d *Delivery) (to, contentType string, body []byte) {
	const form = "application/x-www-form-urlencoded"
	urls := s.urls()
	switch {
	case d.Kind == "slash_commands":
		values := url.Values{}
		for k, v := range d.payload {
			values.Set(k, fmt.Sprint(v))
		}
		return urls.Commands, form, []byte(values.Encode())
	case d.Kind == "events_api":
		return urls.Events, "application/json", d.Payload
	case d.payload["type"] == "block_suggestion":
		to = urls.Options
	default:
		to = urls.Interactivity
	}
	return to, form, []byte(url.Values{"payload": {string(d.Payload)}}.Encode())
}

func (s *Server) sendHTTP(d *Delivery, retry int, reason string) {
	to, contentType, body := s.httpBody(d)
	ctx, cancel := context.WithTimeout(context.Background(), s.opt.AckWithin)
	defer cancel()
	r := s.SignedRequest(to, contentType, body).WithContext(ctx)
	if retry > 0 {
		r.Header.Set("X-Slack-Retry-Num", strconv.Itoa(retry))
		r.Header.Set("X-Slack-Retry-Reason", reason)
	}
	answer, err := http.DefaultClient.Do(r)
	var payload []byte
	if err == nil {
		payload, err = io.ReadAll(answer.Body)
		answer.Body.Close()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keep(payload)
	switch {
	case ctx.Err() != nil:
		s.failed(d, retry, "http_timeout", ErrOperationTimeout)
	case err != nil:
		s.failed(d, retry, "connection_failed", ErrDispatchFailed)
	case answer.StatusCode/100 != 2:
		if answer.Header.Get("X-Slack-No-Retry") == "1" {
			retry = len(retries)
		}
		s.failed(d, retry, "http_error", ErrHTTPClient)
	default:
		if len(payload) > 0 && !json.Valid(payload) {
			payload, _ = json.Marshal(obj{"text": string(payload)})
		}
		s.acked(d, 0, payload)
	}
}
