package duplicatitest

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Disk is what backups find outside the server: source folders and
// destinations. A source folder that nobody wrote holds five files of 2000
// bytes.
type Disk struct {
	mu      sync.Mutex
	folders map[string][]diskFile
	gone    map[string]bool
	lost    map[string]bool
	rev     int64
}

type diskFile struct {
	path string
	size int64
	rev  int64
}

// NewDisk returns a disk on which every source folder has its five files.
func NewDisk() *Disk {
	return &Disk{folders: map[string][]diskFile{}, gone: map[string]bool{}, lost: map[string]bool{}}
}

// Write fills a source folder with count files of size bytes, all of them new
// or changed.
func (d *Disk) Write(folder string, count int, size int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rev++
	delete(d.gone, folder)
	d.folders[folder] = fill(folder, count, size, d.rev)
}

func fill(folder string, count int, size, rev int64) []diskFile {
	files := make([]diskFile, count)
	for i := range files {
		files[i] = diskFile{fmt.Sprintf("%sfile%d.bin", withSlash(folder), i), size, rev}
	}
	return files
}

// Remove takes a source folder away.
func (d *Disk) Remove(folder string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.folders, folder)
	d.gone[folder] = true
}

// LoseDestination empties the place a target URL points to behind the back of
// the server.
func (d *Disk) LoseDestination(target string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lost[place(target)] = true
}

// RestoreDestination brings back what LoseDestination took.
func (d *Disk) RestoreDestination(target string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.lost, place(target))
}

func (d *Disk) isLost(target string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lost[place(target)]
}

// place is a target URL without its options.
func place(target string) string {
	p, _, _ := strings.Cut(target, "?")
	return strings.TrimSuffix(p, "/")
}

// files lists what is under the sources, and which sources are not there.
func (d *Disk) files(sources []string) (files []diskFile, missing []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, src := range sources {
		switch known, ok := d.folders[src]; {
		case ok:
			files = append(files, known...)
		case d.gone[src]:
			missing = append(missing, src)
		case !strings.HasSuffix(src, "/"):
			files = append(files, diskFile{src, 2000, 0})
		default:
			files = append(files, fill(src, 5, 2000, 0)...)
		}
	}
	return slices.Clip(files), missing
}

func withSlash(s string) string {
	if strings.HasSuffix(s, "/") {
		return s
	}
	return s + "/"
}

// Space of the simulated destination.
const (
	totalSpace = 270553174016
	freeSpace  = 80741027840
)

// unknownOptions are the options in a target's query that its module does not
// know: each is a warning in every result since 2.2.
func unknownOptions(target string) []string {
	scheme, rest, _ := strings.Cut(target, "://")
	_, raw, has := strings.Cut(rest, "?")
	if !has || scheme != "file" {
		return nil
	}
	var names []string
	for _, part := range strings.Split(raw, "&") {
		name, _, _ := strings.Cut(part, "=")
		if name, err := url.QueryUnescape(name); err == nil && strings.HasPrefix(name, "auth-") {
			names = append(names, name)
		}
	}
	return names
}

// version is one version that a backup has made.
type version struct {
	time  time.Time
	files []diskFile
	dirs  int
	full  bool
}

func (v *version) bytes() (n int64) {
	for _, f := range v.files {
		n += f.size
	}
	return n
}
