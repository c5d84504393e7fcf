package duplicatitest

import (
	"net/http"
	"strconv"
	"time"
)

// bump counts an event; long polls return and sockets hear of it.
func (s *Server) bump() {
	s.run.event++
	s.publish("legacystatus")
	s.changed()
}

// bumpData counts a change of stored data.
func (s *Server) bumpData() {
	s.run.data++
	s.bump()
}

func stateRoutes(rs *routes, _ *generation) {
	const at = "/api/v1/serverstate"
	rs.add("GET", at, bearer, noBody, try((*Server).serverState))
	rs.add("POST", at+"/pause", bearer, noBody, try((*Server).pause))
	rs.add("POST", at+"/resume", bearer, noBody, (*Server).resume)
}

func (s *Server) serverState(c *call) error {
	longpoll, err := c.query.flag("longpoll")
	if err != nil {
		return err
	}
	last, given, err := c.query.long("lasteventid")
	if err != nil {
		return err
	}
	if longpoll {
		if !given {
			return failf(http.StatusBadRequest, "When activating long poll, the request must include the last event id")
		}
		text := c.query.text("duration")
		if text == "" {
			return failf(http.StatusBadRequest, "When activating long poll, the request must include the duration")
		}
		d, err := parseSpan(text)
		if err != nil {
			return failf(http.StatusBadRequest, "When activating long poll, the request must include the duration and it must be a valid time span")
		}
		if d < 10*time.Second || d > time.Hour {
			return failf(http.StatusBadRequest, "The duration must be between 10 seconds and 1 hour")
		}
		s.wait(c.ctx, s.at.Add(d), func() bool { return s.run.event != last })
	}
	c.json(s.status())
	return nil
}

// status is the ServerStatus of this moment.
func (s *Server) status() object {
	p := s.run
	var active any
	if t := p.active; t != nil {
		active = object{{"Item1", t.id}, {"Item2", t.config.id}}
	}
	queue := []object{}
	for _, t := range p.queue {
		queue = append(queue, object{{"Item1", t.id}, {"Item2", t.config.id}})
	}
	proposed := []object{}
	for _, b := range s.byProposedTime() {
		proposed = append(proposed, object{{"Item1", b.id}, {"Item2", utc(s.proposed(b))}})
	}
	state := "Running"
	if p.paused {
		state = "Paused"
	}
	warning := isOnText(s.db.settings.value("unacked-warning"))
	failure := isOnText(s.db.settings.value("unacked-error"))
	o := object{
		{"ActiveTask", active}, {"ProgramState", state}, {"SchedulerQueueIds", queue}, {"ProposedSchedule", proposed},
		{"HasWarning", warning}, {"HasError", failure}, {"SuggestedStatusIcon", p.icon(warning, failure)},
		{"EstimatedPauseEnd", s.shownPauseEnd()}, {"LastEventID", p.event}, {"LastDataUpdateID", p.data},
		{"LastNotificationUpdateID", p.notified}, {"UpdatedVersion", nil}, {"UpdaterState", "Waiting"},
		{"UpdateDownloadLink", nil}, {"UpdateDownloadProgress", 0},
	}
	if s.gen.nonce {
		o = o.with("Type", "legacystatus")
	}
	return o
}

func isOnText(v string) bool { return v != "" && isOn(v) }

func (p *process) icon(warning, failure bool) string {
	switch {
	case p.active != nil && p.paused:
		return "ActivePaused"
	case p.active != nil || p.starting:
		return "Active"
	case p.paused:
		return "Paused"
	case failure:
		return "ReadyError"
	case warning:
		return "ReadyWarning"
	}
	return "Ready"
}

func (s *Server) shownPauseEnd() string {
	switch {
	case s.gen.pauseZone:
	case s.run.pauseEnd.IsZero():
		return "0001-01-01T00:00:00"
	default:
		return local(s.run.pauseEnd)
	}
	return utc(s.run.pauseEnd)
}

// longestPause is when the timer ends a pause, whatever was asked for.
const longestPause = 24 * time.Hour

func (s *Server) pause(c *call) error {
	all, err := c.query.flag("pausetransfers")
	if err != nil {
		return err
	}
	d, err := parseSpan(c.query.text("duration"))
	if err != nil || d < 0 && !s.gen.negativePause {
		return failf(http.StatusBadRequest, "The duration must be a valid time span")
	}
	s.pauseFor(d, all)
	c.empty(http.StatusOK)
	return nil
}

// pauseFor pauses; zero and less is for ever.
func (s *Server) pauseFor(d time.Duration, all bool) {
	p := s.run
	s.holdActive()
	p.paused, p.pauseAll = true, all
	p.pauseEnd, p.resumeAt = time.Time{}, time.Time{}
	until := "0"
	if d > 0 {
		p.pauseEnd = s.at.Add(d)
		p.resumeAt = s.at.Add(min(d, longestPause))
		until = strconv.FormatInt(ticks(p.pauseEnd), 10)
	}
	s.bumpPause(until)
}

// bumpPause tells of a pause or resume: the state, the setting, the state.
func (s *Server) bumpPause(until string) {
	if !s.gen.nonce { // 2.1 stores no pause
		s.bump()
		return
	}
	s.db.settings.set("paused-until", until)
	s.bumpData()
	s.publish("serversettings")
	s.bump()
}

func (s *Server) resume(c *call) {
	if s.run.paused {
		s.resumeNow()
	}
	c.empty(http.StatusOK)
}

func (s *Server) resumeNow() {
	p := s.run
	p.paused, p.pauseAll = false, false
	p.pauseEnd, p.resumeAt = time.Time{}, time.Time{}
	s.releaseActive()
	s.bumpPause("")
	s.dispatch()
	s.setTimer()
}

// restorePause takes a pause over from before a restart.
func (s *Server) restorePause(until string) {
	n, err := strconv.ParseInt(until, 10, 64)
	if err != nil {
		return
	}
	if n == 0 {
		s.run.paused = true
		return
	}
	end := time.Unix(n/10_000_000-62135596800, n%10_000_000*100).UTC()
	if !end.After(s.at) {
		s.db.settings.set("paused-until", "")
		return
	}
	s.run.paused, s.run.pauseEnd = true, end
	s.run.resumeAt = s.at.Add(min(end.Sub(s.at), longestPause))
}
