package duplicatitest

import (
	"net/http"
	"slices"
	"time"
)

// notification is a row of Notification.
type notification struct {
	id             int64
	kind           string // Information, Warning, Error
	title, message string
	failure        string
	backupID       string
	action         string
	at             time.Time
	messageID      string
	logTag         string
}

// notify stores a notification. Its ID is one above the highest there is, so
// that of a dismissed last one comes again.
func (s *Server) notify(n *notification) {
	for _, old := range s.db.notifications {
		n.id = max(n.id, old.id)
	}
	n.id++
	n.at = s.at
	s.db.notifications = append(s.db.notifications, n)
	s.run.notified++
	s.notificationsChanged()
}

// notificationsChanged sets the flags and tells of both.
func (s *Server) notificationsChanged() {
	s.acknowledge()
	s.bumpData()
	s.publish("serversettings")
	s.bump()
	s.publish("notifications")
}

// dismissQuietly removes notifications and tells nobody; notify follows.
func (s *Server) dismissQuietly(match func(*notification) bool) {
	s.db.notifications = slices.DeleteFunc(s.db.notifications, match)
}

// dismiss removes notifications; it reports whether there were any.
func (s *Server) dismiss(match func(*notification) bool) bool {
	before := len(s.db.notifications)
	s.db.notifications = slices.DeleteFunc(s.db.notifications, match)
	if len(s.db.notifications) == before {
		return false
	}
	s.run.notified++
	s.notificationsChanged()
	return true
}

// acknowledge sets the flags that ServerStatus shows.
func (s *Server) acknowledge() {
	has := func(kind string) bool {
		return slices.ContainsFunc(s.db.notifications, func(n *notification) bool { return n.kind == kind })
	}
	for key, kind := range map[string]string{"unacked-error": "Error", "unacked-warning": "Warning"} {
		old := s.db.settings.value(key)
		if is := has(kind); is || old != "" {
			s.db.settings.set(key, boolText(is))
		}
	}
}

func renderNotification(n *notification) object {
	return object{
		{"ID", n.id}, {"Type", n.kind}, {"Title", n.title}, {"Message", n.message}, {"Exception", n.failure},
		{"BackupID", orNil(n.backupID)}, {"Action", n.action}, {"Timestamp", utc(n.at.Truncate(time.Second))},
		{"LogEntryID", nil}, {"MessageID", orNil(n.messageID)}, {"MessageLogTag", orNil(n.logTag)},
	}
}

func orNil(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func (s *Server) renderNotifications() []object {
	out := []object{}
	for _, n := range s.db.notifications {
		out = append(out, renderNotification(n))
	}
	return out
}

func notificationRoutes(rs *routes, _ *generation) {
	rs.add("GET", "/api/v1/notifications", bearer, noBody, func(s *Server, c *call) { c.json(s.renderNotifications()) })
	rs.add("GET", "/api/v1/notification/{id}", bearer, noBody, try((*Server).getNotification))
	rs.add("DELETE", "/api/v1/notification/{id}", bearer, noBody, try((*Server).deleteNotification))
}

func (s *Server) getNotification(c *call) error {
	id, err := parseLong(c.values["id"])
	if err != nil {
		return err
	}
	for _, n := range s.db.notifications {
		if n.id == id {
			c.json(renderNotification(n))
			return nil
		}
	}
	return errNotification
}

func (s *Server) deleteNotification(c *call) error {
	id, err := parseLong(c.values["id"])
	if err != nil {
		return err
	}
	if !s.dismiss(func(n *notification) bool { return n.id == id }) {
		return errNotification
	}
	c.empty(http.StatusOK)
	return nil
}
