package ops

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/duplibot/duplibot/duplicati"
	"github.com/duplibot/duplibot/tools"
)

type deleteIn struct {
	Backup  string `json:"backup" jsonschema:"ID or exact name" tool:"pos,target,complete=backups"`
	Remote  bool   `json:"delete_remote_files,omitempty" jsonschema:"All its versions at the destination too"`
	LocalDB bool   `json:"delete_local_db,omitempty" jsonschema:"Its local database too"`
	Force   bool   `json:"force,omitempty" jsonschema:"Even while it runs or waits: it is stopped first"`
	Quiet   bool   `json:"quiet,omitempty" jsonschema:"Print nothing unless something is wrong" tool:"cli"`
	tools.OnServer
}

type deleteOut struct {
	BackupID      string `json:"backup_id"`
	Backup        string `json:"backup"`
	State         string `json:"state"` // deleted; queued: not yet
	Task          int64  `json:"task"`
	RemoteDeleted bool   `json:"remote_files_deleted"`
	DBDeleted     bool   `json:"local_db_deleted"`

	server string
	paused bool
	quiet  bool
}

// deleteWithin is how long the deletion itself is waited for; while the server
// is paused it does not begin, and less is enough.
const (
	deleteWithin = 10 * time.Minute
	pausedWithin = 5 * time.Second
)

func (o *operations) delete() tools.Operation {
	return tools.Define(tools.Spec{
		Name: "delete", Summary: "Delete a backup, after a person has agreed",
		Help: "The configuration goes, and with it what is asked for. Remote files and local database stay unless told otherwise. " +
			"A backup that runs or waits is refused without --force. Answers when the backup is gone from the server.",
		Group: groupBackups, Toolset: core, Risk: tools.Critical,
		Examples: []string{`delete "Old photos"`, "delete 7 --delete-remote-files --delete-local-db"},
	}, tools.Handler[deleteIn, deleteOut]{
		Complete: complete{"backup": o.completeBackups},
		Plan:     o.planDelete, Do: o.doDelete, View: viewDelete, Settle: o.settleDelete,
		Exit: func(out deleteOut) int {
			if out.State != "deleted" {
				return 2
			}
			return 0
		},
	})
}

func (o *operations) planDelete(ctx context.Context, env tools.Env, in deleteIn) (tools.Plan, error) {
	c, err := o.client(ctx, env)
	if err != nil {
		return tools.Plan{}, err
	}
	list, state, err := backupsAndState(ctx, c)
	if err != nil {
		return tools.Plan{}, err
	}
	b, err := pick(list, env.Server, in.Backup)
	if err != nil {
		return tools.Plan{}, err
	}
	activity := activityOf(state, b.ID)
	if activity != idle && !in.Force {
		return tools.Plan{}, tools.Errorf(tools.Busy, "backup %s is %s on %s; nothing was done", quote(b.Name), activity, env.Server).
			WithHint("wait for its end, stop it, or ask with force").Retryable()
	}
	others := sharing(list, b)
	if in.Remote && len(others) > 0 && b.DBPathExists != nil && !*b.DBPathExists {
		return tools.Plan{}, tools.Errorf(tools.Conflict, "backup %s has no local database, and %s keep files in the same place: Duplicati could not tell whose files it deletes; nothing was done",
			quote(b.Name), strings.Join(others, ", ")).WithHint("repair its database first, or leave the remote files")
	}
	if in.LocalDB {
		shared, err := c.DatabaseShared(ctx, b.ID)
		if err != nil {
			return tools.Plan{}, err
		}
		if shared {
			return tools.Plan{}, tools.Errorf(tools.Conflict, "another backup uses the local database of %s; nothing was done", quote(b.Name)).
				WithHint("leave out delete_local_db")
		}
	}
	g, err := c.Generation(ctx)
	if err != nil {
		return tools.Plan{}, err
	}
	key, err := o.Key(ctx)
	if err != nil {
		return tools.Plan{}, err
	}
	return deletePlan(key, env.Server, c.Origin(), in, b, others, activity, state, g), nil
}

func deletePlan(key []byte, server, address string, in deleteIn, b duplicati.Backup, others []string, activity string, state duplicati.State, g duplicati.Generation) tools.Plan {
	target := tools.Bind("destination digest", duplicati.TargetMAC(b.TargetURL, key))
	target.Hidden = true
	p := tools.Plan{
		Target: tools.Target{Server: server, Kind: "backup", ID: b.ID, Name: b.Name},
		Facts: []tools.PlanFact{
			tools.Bind(factAddress, address),
			tools.Bind("destination", b.Destination.String()), target,
			tools.Bind("database", b.DBPath),
			tools.Bind("activity", activity),
			tools.Show("versions", countOf(b.Facts.Versions)),
			tools.Show("source", sizeOf(b.Facts.SourceBytes)),
			tools.Show("at the destination", sizeOf(b.Facts.RemoteBytes)),
			tools.Show("last success", clock(b.Facts.LastBackup)),
			tools.Show("schedule", schedule(b.Schedule)),
		},
		Effects: []string{fmt.Sprintf("the configuration of backup %s is gone from %s for good, with its schedule and its passphrase", quote(b.Name), server)},
		Phrase:  phraseOf(b),
		Notes:   []string{"an export made first would bring the configuration back: export " + byID + b.ID},
	}
	if !b.Facts.LastError.IsZero() {
		p.Facts = append(p.Facts, tools.Show(factLastError, stamp(b.Facts.LastError)))
	}
	if b.MoreTargets > 0 {
		p.Facts = append(p.Facts, tools.Bind("more destinations", fmt.Sprint(b.MoreTargets)))
	}
	if len(others) > 0 {
		f := tools.Bind("others at this destination", strings.Join(others, ", "))
		f.Tone = tools.Bad
		p.Facts = append(p.Facts, f)
	}
	p.Effects = append(p.Effects, deleteEffects(in, b, others)...)
	if activity != idle {
		if g.Can(duplicati.StopsForDelete) && activity == "running" {
			p.Effects = append(p.Effects, "the run that is under way is stopped for it")
		} else {
			p.Effects = append(p.Effects, "what runs or waits of it comes first, and the deletion after it: this server stops nothing for it")
		}
	}
	if state.Paused {
		p.Effects = append(p.Effects, "the server is paused "+pausedWords(state.PauseEnds)+": the deletion waits until then")
	}
	return p
}

const (
	factAddress   = "address" // of the server: its name can be given to another
	factLastError = "last error"
)

func deleteEffects(in deleteIn, b duplicati.Backup, others []string) []string {
	var effects []string
	if in.Remote {
		effects = append(effects, "all its versions at "+b.Destination.String()+" are deleted; nobody can bring them back")
		if len(others) > 0 {
			effects = append(effects, "other backups keep their files in the same place; make sure that they lose none")
		}
	} else {
		effects = append(effects, "its versions at "+b.Destination.String()+" stay")
	}
	if in.LocalDB {
		return append(effects, "its local database is deleted")
	}
	return append(effects, "its local database stays")
}

const idle = "neither running nor waiting"

func activityOf(s duplicati.State, id string) string {
	if s.Runs(id) {
		return "running"
	}
	if _, held := s.Holds(id); held {
		return "waiting"
	}
	return idle
}

// sharing names the other backups that keep their files in the same place.
func sharing(list []duplicati.Backup, b duplicati.Backup) []string {
	var names []string
	for _, o := range list {
		if o.ID != b.ID && o.Destination.Digest == b.Destination.Digest {
			names = append(names, quote(o.Name)+" ("+o.ID+")")
		}
	}
	return names
}

// phraseOf is what is typed to agree: the name, unless nobody could type it.
func phraseOf(b duplicati.Backup) string {
	if b.Name != "" && len(b.Name) <= 60 && printable(b.Name) {
		return b.Name
	}
	return "delete " + b.ID
}

func (o *operations) doDelete(ctx context.Context, env tools.Env, in deleteIn) (deleteOut, error) {
	target := env.Planned.Target
	c, err := o.client(ctx, env)
	if err != nil {
		return deleteOut{}, err
	}
	b, err := c.Backup(ctx, target.ID)
	if err != nil {
		return deleteOut{}, err
	}
	f := &follower{o: o, env: env, backup: b, mark: -1}
	f.task, err = c.Delete(ctx, target.ID, duplicati.DeleteOptions{RemoteFiles: in.Remote, LocalDB: in.LocalDB, Force: in.Force})
	if err != nil {
		return deleteOut{}, deleteFailed(err, env.Server, target)
	}
	out := deleteOut{BackupID: target.ID, Backup: target.Name, State: "queued", Task: f.task, server: env.Server, quiet: in.Quiet}
	state, err := c.State(ctx)
	limit := deleteWithin
	if out.paused = err == nil && state.Paused; out.paused {
		limit = pausedWithin
	}
	waiting, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	seen, err := f.follow(waiting, o.Poll)
	if err != nil && waiting.Err() != nil && ctx.Err() == nil {
		return out, nil
	}
	if err != nil {
		return deleteOut{}, tools.Errorf(tools.UnknownOutcome, "the deletion of %s was begun as task %d, and its end could not be seen", target, f.task).
			WithHint("look with: list-backups").Because(err)
	}
	gone, err := o.isGone(ctx, env, target.ID)
	switch {
	case err != nil:
		return deleteOut{}, tools.Errorf(tools.UnknownOutcome, "the deletion of %s is over, and whether it is gone could not be seen", target).
			WithHint("look with: list-backups").Because(err)
	case !gone && seen.State == stateLost:
		return deleteOut{}, tools.Errorf(tools.OperationFailed, "%s was restarted before it deleted %s, which is still there", env.Server, target).
			WithHint("ask again")
	case !gone:
		return deleteOut{}, notDeleted(in, target, seen.Task)
	}
	out.State, out.RemoteDeleted, out.DBDeleted = "deleted", in.Remote, in.LocalDB
	return out, nil
}

// deleteFailed tells a refusal, which did nothing, from a lost answer.
func deleteFailed(err error, server string, target tools.Target) error {
	var e *duplicati.Error
	if !errors.As(err, &e) {
		return err
	}
	switch {
	case e.Kind == duplicati.Busy:
		return tools.Errorf(tools.Busy, "%s has begun to run in the meantime; nothing was done", target).WithHint("wait for its end, stop it, or ask with force").Because(err)
	case e.Kind == duplicati.Unstoppable:
		return tools.Errorf(tools.Busy, "%s was asked to stop %s and could not within ten seconds; nothing was deleted", server, target).
			WithHint("a run that no longer stops is known of servers 2.3.0: then the Duplicati service itself has to be restarted").Because(err)
	case e.Uncertain:
		return tools.Errorf(tools.UnknownOutcome, "%s was asked to delete %s and its answer was lost", server, target).WithHint("look with: list-backups").Because(err)
	}
	return err
}

func notDeleted(in deleteIn, target tools.Target, task duplicati.Task) error {
	words := "the deletion of %s failed, and the backup is still there"
	if in.Remote {
		words += "; some of its remote files may be gone"
	}
	e := tools.Errorf(tools.OperationFailed, words, target)
	if task.Error != "" {
		e.WithHint("the server says: %s", quote(task.Error))
	}
	return e
}

func (o *operations) isGone(ctx context.Context, env tools.Env, id string) (bool, error) {
	c, err := o.client(ctx, env)
	if err != nil {
		return false, err
	}
	list, err := c.Backups(ctx)
	if err != nil {
		return false, err
	}
	for _, b := range list {
		if b.ID == id {
			return false, nil
		}
	}
	return true, nil
}

// settleDelete: the backup is gone, or it is there and nothing of it is at
// work. IDs are never given twice.
func (o *operations) settleDelete(ctx context.Context, env tools.Env, in deleteIn, p tools.Plan) (tools.Settled, error) {
	c, err := o.client(ctx, env)
	if err != nil {
		return tools.CannotTell, err
	}
	// The state first: what is queued after it is not this deletion.
	state, err := c.State(ctx)
	if err != nil {
		return tools.CannotTell, err
	}
	list, err := c.Backups(ctx)
	if err != nil {
		return tools.CannotTell, err
	}
	for _, b := range list {
		if b.ID != p.Target.ID {
			continue
		}
		_, held := state.Holds(b.ID)
		// With remote files it may have failed half-way, and noted that.
		failed := in.Remote && stamp(b.Facts.LastError) != shown(p, factLastError)
		if held || failed {
			return tools.CannotTell, nil
		}
		return tools.TookNoEffect, nil
	}
	return tools.TookEffect, nil
}

func shown(p tools.Plan, name string) string {
	for _, f := range p.Facts {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

func viewDelete(out deleteOut) tools.View {
	if out.State != "deleted" {
		v := tools.View{Headline: fmt.Sprintf("the deletion of %s waits on %s as task %d; it is not deleted yet", out.Backup, out.server, out.Task), Tone: tools.Warning,
			Next: []tools.Next{{Label: "Status", Operation: "status", Args: map[string]any{"server": out.server}}}}
		if out.paused {
			v.Notes = append(v.Notes, "the server is paused, and begins when it is resumed")
		}
		return v
	}
	if out.quiet {
		return tools.View{}
	}
	v := tools.View{Headline: out.Backup + " is deleted", Tone: tools.Good}
	stays := map[bool]string{true: "deleted", false: "left where they are"}
	v.Facts = []tools.Fact{{Name: "Remote files", Value: stays[out.RemoteDeleted]}, {Name: "Local database", Value: map[bool]string{true: "deleted", false: "left where it is"}[out.DBDeleted]}}
	return v
}
