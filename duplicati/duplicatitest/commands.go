package duplicatitest

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// commandRun is one run of POST commandline.
type commandRun struct {
	lines    []string
	started  time.Time
	finished time.Time
}

// commandKept is how long the output of a command is kept.
const commandKept = 5 * time.Minute

func commandRoutes(rs *routes, _ *generation) {
	const at = "/api/v1/commandline"
	rs.add("GET", at, anyone, noBody, func(s *Server, c *call) {
		c.header.Set("Content-Type", jsonType)
		c.chunked(s.gen.catalogue("commands"))
	})
	rs.add("POST", at, bearer, jsonBody, try((*Server).runCommand))
	rs.add("GET", at+"/{runid}", bearer, noBody, try((*Server).commandOutput))
	rs.add("POST", at+"/{runid}/abort", bearer, noBody, try(func(s *Server, c *call) error {
		if _, err := s.commandOf(c); err != nil {
			return err
		}
		c.empty(http.StatusOK)
		return nil
	}))
}

// runCommand takes the command line tool's commands; none of them does
// anything here but end at once.
func (s *Server) runCommand(c *call) error {
	if c.body.kind != 'a' {
		return errBind
	}
	var words []string
	for _, item := range c.body.items {
		if item.kind != 's' {
			return errBind
		}
		words = append(words, item.text)
	}
	if len(words) == 0 {
		return failf(http.StatusBadRequest, "No arguments provided")
	}
	known, err := parseJSON(s.gen.catalogue("commands"))
	if err != nil {
		panic(err) // it is part of the program
	}
	if !slices.ContainsFunc(known.items, func(v *jsonValue) bool { return strings.EqualFold(v.text, words[0]) }) {
		return failf(http.StatusBadRequest, "Command not supported")
	}
	id := newGUID()
	s.run.commands[id] = &commandRun{lines: []string{"Return code: 0"}, started: s.at, finished: s.at}
	c.json(object{{"Status", "OK"}, {"ID", id}})
	return nil
}

func (s *Server) commandOf(c *call) (*commandRun, error) {
	run := s.run.commands[c.values["runid"]]
	if run == nil || s.at.Sub(run.finished) > commandKept {
		return nil, failf(http.StatusNotFound, "Command not found")
	}
	return run, nil
}

func (s *Server) commandOutput(c *call) error {
	offset, _, err := c.query.long("offset")
	if err != nil {
		return err
	}
	size, err := c.query.pageSize(10, 500)
	if err != nil {
		return err
	}
	run, err := s.commandOf(c)
	if err != nil {
		return err
	}
	from := min(max(offset, 0), int64(len(run.lines)))
	c.json(object{
		{"Pagesize", size}, {"Offset", offset}, {"Count", len(run.lines)},
		{"Items", list(run.lines[from:min(from+size, int64(len(run.lines)))])}, {"Finished", true}, {"Started", utc(run.started)},
	})
	return nil
}
