package ops

import (
	"context"
	"time"

	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/tools"
)

// Deps is what the operations need. Servers and Key are required to run one;
// the zero Deps make operations that can be listed.
type Deps struct {
	Servers Servers
	// Key gets the key of the digests by which plans recognise a storage URL or
	// a secret again; at least 32 bytes, the same from start to start. It is
	// asked for when it is first needed.
	Key func(context.Context) ([]byte, error)
	// Poll is how often a task is looked at while somebody waits; 0 is 2 s.
	// The first looks come sooner.
	Poll time.Duration
	// Patience is for how long a server may be out of reach while somebody
	// waits for it; 0 is 15 minutes.
	Patience time.Duration
}

// operations has the handlers.
type operations struct{ Deps }

// All declares every operation. It panics when d has servers and no key.
func All(d Deps) []tools.Operation {
	if d.Servers != nil && d.Key == nil {
		panic("ops: Servers without a Key")
	}
	if d.Poll == 0 {
		d.Poll = 2 * time.Second
	}
	if d.Patience == 0 {
		d.Patience = 15 * time.Minute
	}
	o := &operations{d}
	return []tools.Operation{
		o.listBackups(), o.run(), o.wait(), o.progress(), o.result(), o.stop(),
		o.export(), o.importing(), o.delete(),
		o.status(), o.health(), o.pause(), o.resume(), o.changePassword(), o.issueForeverToken(),
		o.login(), o.logout(),
		o.approval(), o.servers(),
	}
}

// The groups of operations in help.
const (
	groupBackups  = "backups"
	groupServer   = "server"
	groupSession  = "session"
	groupRequests = "requests"
)

// The toolsets. What somebody needs who looks after backups is in core, delete
// with it: it asks a person anyway, and an assistant that lacks it would be
// told to look for another way. What is rare, or about access to the server
// itself, is in admin, so that it costs nobody words who does not want it.
const (
	core  = "core"
	admin = "admin"
)

func (o *operations) client(ctx context.Context, env tools.Env) (*duplicati.Client, error) {
	return o.Servers.Client(ctx, env.Server)
}
