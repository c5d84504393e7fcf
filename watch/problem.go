package watch

import (
	"time"

	"github.com/duplibot/duplibot/tools"
)

// Kind is what a problem is about. It is the last part of its key.
type Kind string

// The kinds about a server.
const (
	Unreachable Kind = "unreachable" // it does not answer, or not as itself
	Login       Kind = "login"       // it answers, and lets nobody in
	Paused      Kind = "paused"      // it is paused, and backups wait
	Stuck       Kind = "stuck"       // backups wait, and nothing moves
)

// The kinds about a backup: how its last run ended, one that did not begin, and
// one that does not end.
const (
	Failed  Kind = "failed"
	Warned  Kind = "warned"
	Stopped Kind = "stopped"
	Empty   Kind = "empty"   // succeeded, and looked at no file
	Unknown Kind = "unknown" // ran, and nobody can tell how it went
	Overdue Kind = "overdue" // should have begun by Duplicati's own schedule
	Long    Kind = "long"    // has been at work for more than a day, and past its next time
)

// severities are tones, so that every surface has a colour for them.
var severities = map[Kind]tools.Tone{
	Unreachable: tools.Bad, Login: tools.Bad, Paused: tools.Warning, Stuck: tools.Bad,
	Failed: tools.Bad, Warned: tools.Warning, Stopped: tools.Warning, Empty: tools.Warning, Unknown: tools.Unclear, Overdue: tools.Bad, Long: tools.Warning,
}

// Problem is something that people should know of.
type Problem struct {
	Key      string // "nas/unreachable", "nas/3/overdue"
	Kind     Kind
	Severity string // "error", "warning", "notice" or "unknown"
	Server   string
	Backup   string // its ID; "" when it is about the server
	Name     string // the backup's, as somebody wrote it

	Headline string // a sentence without a full stop
	Facts    []tools.Fact
	Said     []string // the server's own words
	Since    time.Time
	Ended    time.Time // zero while it is there
	End      string    // why it is over, a sentence like Headline
	Lost     bool      // with Ended: nobody can tell whether it is well now
	Next     []tools.Next
}

// Over reports whether the problem is gone.
func (p Problem) Over() bool { return !p.Ended.IsZero() }

func keyOf(server, backup string, k Kind) string {
	if backup == "" {
		return server + "/" + string(k)
	}
	return server + "/" + backup + "/" + string(k)
}

// about starts a problem of a backup, or of the server when name and backup
// are empty.
func (s *server) about(k Kind, backup, name string, since time.Time) Problem {
	p := Problem{Key: keyOf(s.name, backup, k), Kind: k, Severity: severities[k].String(), Server: s.name, Backup: backup, Name: name, Since: since}
	on := map[string]any{"server": s.name}
	if backup != "" {
		on["backup"] = backup
	}
	offer := func(label, operation string) {
		p.Next = append(p.Next, tools.Next{Label: label, Operation: operation, Args: on})
	}
	switch k {
	case Unreachable, Login:
		offer("Health", "health")
	case Paused:
		offer("Resume", "resume")
		offer("Status", "status")
	case Stuck:
		offer("Status", "status")
	case Overdue:
		offer("Run now", "run")
	case Long:
		offer("Progress", "progress")
	default:
		offer("Result", "result")
		offer("Run again", "run")
	}
	return p
}

// endings say why a problem of a kind is over, when nothing better is known.
var endings = map[Kind]string{
	Unreachable: "the server answers again", Login: "the login works again", Paused: "nothing waits for the end of the pause any more",
	Stuck: "it moves again", Overdue: "it has begun", Long: "that run is over",
}

// clock writes a time for people.
func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
