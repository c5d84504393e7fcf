package duplicatitest

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"
)

// localDB is a backup's own database with its log, and what it believes to be
// at the destination.
type localDB struct {
	rows     []logRow // oldest first
	remote   []remoteRow
	versions []*version // oldest first
	volumes  []volume
	lastOp   int64
}

type logRow struct {
	id, operation int64
	at            time.Time
	message       string
}

type remoteRow struct {
	id, operation int64
	at            time.Time
	action, path  string
	data          string
}

// volume is a file at the destination.
type volume struct {
	name string
	size int64
	at   time.Time
}

func (db *localDB) log(at time.Time, message string) {
	db.rows = append(db.rows, logRow{int64(len(db.rows)) + 1, max(db.lastOp, 1), at, message})
}

func (db *localDB) logRemote(at time.Time, action, path, data string) {
	db.remote = append(db.remote, remoteRow{int64(len(db.remote)) + 1, db.lastOp, at, action, path, data})
}

// put uploads a volume.
func (db *localDB) put(v volume) {
	db.volumes = append(db.volumes, v)
	db.logRemote(v.at, "put", v.name, v.data())
}

func (db *localDB) get(v volume, at time.Time) { db.logRemote(at, "get", v.name, v.data()) }

func (v volume) data() string {
	sum := sha256.Sum256([]byte(v.name))
	return fmt.Sprintf(`{"Size":%d,"Hash":"%s"}`, v.size, base64.StdEncoding.EncodeToString(sum[:]))
}

// list lists the destination.
func (db *localDB) list(at time.Time, lost bool, g *generation) {
	var b strings.Builder
	b.WriteString("[\n")
	if !lost {
		for i, v := range db.volumes {
			if i > 0 {
				b.WriteString(",\n")
			}
			if !g.nonce {
				fmt.Fprintf(&b, `{"Name":"%s","LastAccess":"%s","LastModification":"%s","Size":%d,"IsFolder":false}`,
					v.name, local(v.at), local(v.at), v.size)
				continue
			}
			fmt.Fprintf(&b, `{"IsFolder":false,"LastAccess":"%s","LastModification":"%s","Created":"0001-01-01T00:00:00","Name":"%s","Size":%d,"IsArchived":false}`,
				local(v.at), local(v.at), v.name, v.size)
		}
	}
	b.WriteString("\n]")
	db.logRemote(at, "list", "", b.String())
}

func (db *localDB) size() (n int64) {
	for _, v := range db.volumes {
		n += v.size
	}
	return n
}

func (db *localDB) newest() *version {
	if len(db.versions) == 0 {
		return nil
	}
	return db.versions[len(db.versions)-1]
}

// newestFirst numbers versions as the server does: 0 is the newest.
func (db *localDB) newestFirst() []*version {
	v := slices.Clone(db.versions)
	slices.Reverse(v)
	return v
}
