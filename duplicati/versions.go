package duplicati

import (
	"context"
	"net/http"
	"strconv"
	"time"
)

// Version is one version of a backup.
type Version struct {
	Number int64 // 0 is the newest
	Time   time.Time
	Full   *bool // nil: not known; false is a partial one
	Files  *int64
	Bytes  *int64
}

// Versions lists the versions of a backup, newest first. Facts has their
// number for less.
//
// The call is refused (Harmful) where it would do damage: of a backup that
// never ran, which would raise an error on it; of one that runs or waits, which
// on 2.3.0 hangs the run for ever; and on all servers below 2.3.1 unless held
// says that the caller has paused the server, which must have nothing to do. It
// writes a row to the backup's log.
func (c *Client) Versions(ctx context.Context, backup string, held bool) ([]Version, error) {
	const op = "list versions"
	g, err := c.Generation(ctx)
	if err != nil {
		return nil, err
	}
	b, err := c.Backup(ctx, backup)
	if err != nil {
		return nil, err
	}
	if b.Facts.NeverRan() {
		return nil, refuse(op, Harmful, "the backup has no version, and asking for them would raise an error on it; nothing was sent")
	}
	state, err := c.State(ctx)
	if err != nil {
		return nil, err
	}
	if _, holds := state.Holds(backup); holds {
		return nil, refuse(op, Harmful, "the backup runs or waits, and listing its versions can hang the run; nothing was sent")
	}
	if !g.Can(LocksDatabase) && !(held && state.Paused && state.Idle()) {
		return nil, refuse(op, Harmful, "on Duplicati %s a listing can hang a run that begins meanwhile: pause the server first, with nothing running or waiting; nothing was sent", g)
	}
	if !g.Can(ListsFiles) {
		return c.filesets(ctx, op, backup)
	}
	return c.listFilesets(ctx, op, backup)
}

// A listing works on the backup's database, and on the destination if need be.
const listingTime = 5 * time.Minute

func (c *Client) filesets(ctx context.Context, op, backup string) ([]Version, error) {
	var rows []struct {
		Version              int64
		Time                 stamp
		IsFullBackup         int
		FileCount, FileSizes int64
	}
	k := call{op: op, method: http.MethodGet, path: backupPath(backup, "/filesets"), auth: true, timeout: listingTime, limit: logLimit}
	if err := c.do(ctx, k, &rows); err != nil {
		return nil, err
	}
	out := make([]Version, 0, len(rows))
	for _, r := range rows {
		v := Version{Number: r.Version, Time: time.Time(r.Time), Files: known(&r.FileCount), Bytes: known(&r.FileSizes)}
		if r.IsFullBackup >= 0 {
			full := r.IsFullBackup == 1
			v.Full = &full
		}
		out = append(out, v)
	}
	return out, nil
}

func (c *Client) listFilesets(ctx context.Context, op, backup string) ([]Version, error) {
	var r struct {
		failed
		Data []struct {
			Version              int64
			Time                 stamp
			IsFullBackup         *bool
			FileCount, FileSizes *int64
		}
	}
	k := call{op: op, method: http.MethodPost, path: "/api/v2/backup/list-filesets", auth: true, body: map[string]any{"BackupId": backup}, timeout: listingTime, limit: logLimit}
	if err := c.do(ctx, k, &r); err != nil {
		return nil, err
	}
	if r.Success == nil {
		return nil, k.unreadable("the answer is no list of versions")
	}
	if !*r.Success {
		e := &Error{Op: op, Method: k.method, Path: k.path, Status: http.StatusOK}
		k.refusal(e, r.failed)
		return nil, e
	}
	out := make([]Version, 0, len(r.Data))
	for _, d := range r.Data {
		out = append(out, Version{Number: d.Version, Time: time.Time(d.Time), Full: d.IsFullBackup, Files: known(d.FileCount), Bytes: known(d.FileSizes)})
	}
	return out, nil
}

func known(n *int64) *int64 {
	if n == nil || *n < 0 {
		return nil
	}
	return n
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
