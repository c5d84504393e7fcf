package duplicati

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/duplibot/duplibot/secret"
)

// Settings reads the server's settings and its default options, whose names
// begin with "--". Values can be secrets: the server masks none.
func (c *Client) Settings(ctx context.Context) (map[string]secret.Value, error) {
	var r map[string]words
	if err := c.do(ctx, call{op: "read server settings", method: http.MethodGet, path: "/api/v1/serversettings", auth: true}, &r); err != nil {
		return nil, err
	}
	out := make(map[string]secret.Value, len(r))
	for name, value := range r {
		out[name] = secret.New(string(value))
	}
	return out, nil
}

// SetSettings changes settings and default options; nil takes an option away.
// The server stores unknown names and drops guarded ones without a word: read
// back what matters.
func (c *Client) SetSettings(ctx context.Context, values map[string]*secret.Value) error {
	body := make(map[string]*string, len(values))
	var secrets []secret.Value
	for name, v := range values {
		body[name] = nil
		if v != nil {
			word := v.Reveal()
			body[name], secrets = &word, append(secrets, *v)
		}
	}
	return c.do(ctx, call{op: "change server settings", method: http.MethodPatch, path: "/api/v1/serversettings", auth: true, body: body, secrets: secrets}, nil)
}

// SetPassword sets the server's password. It ends no session and no token.
func (c *Client) SetPassword(ctx context.Context, password secret.Value) error {
	const op = "change password"
	if password.Empty() {
		return refuse(op, Misused, "a password cannot be blank; nothing was sent")
	}
	return c.do(ctx, call{op: op, method: http.MethodPut, path: "/api/v1/serversetting/server-passphrase", auth: true,
		body: password.Reveal(), secrets: []secret.Value{password}}, nil)
}

// Notification is something the server wants people to know.
type Notification struct {
	ID        int64
	Type      string // "Information", "Warning", "Error"
	Title     string
	Message   string
	Exception string // its first line
	Backup    string // "" for none
	Action    string // "backup:show-log"
	MessageID string
	Time      time.Time
}

type wireNotification struct {
	ID                          int64
	Type                        string
	Title, Message, Exception   words
	BackupID, Action, MessageID words
	Timestamp                   stamp
}

func (w wireNotification) notification() Notification {
	return Notification{
		ID: w.ID, Type: printable(w.Type), Title: scrub(string(w.Title)), Message: scrub(string(w.Message)), Exception: firstLine(string(w.Exception)),
		Backup: string(w.BackupID), Action: printable(string(w.Action)), MessageID: printable(string(w.MessageID)), Time: time.Time(w.Timestamp),
	}
}

// Notifications lists what nobody has dismissed. A clean backup dismisses
// those of that backup.
func (c *Client) Notifications(ctx context.Context) ([]Notification, error) {
	var list []wireNotification
	if err := c.do(ctx, call{op: "list notifications", method: http.MethodGet, path: "/api/v1/notifications", auth: true}, &list); err != nil {
		return nil, err
	}
	return notifications(list), nil
}

func notifications(list []wireNotification) []Notification {
	out := make([]Notification, 0, len(list))
	for _, w := range list {
		out = append(out, w.notification())
	}
	return out
}

// Dismiss removes a notification.
func (c *Client) Dismiss(ctx context.Context, id int64) error {
	return c.do(ctx, call{op: "dismiss notification", method: http.MethodDelete, path: "/api/v1/notification/" + url.PathEscape(itoa(id)), auth: true}, nil)
}
