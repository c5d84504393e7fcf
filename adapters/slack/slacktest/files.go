package slacktest

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// File is an upload.
type File struct {
	ID, Name, Title string
	Content         []byte
	Uploaded        bool
	Completed       bool
	Channels        []string // empty: private to the bot

	length int
	until  time.Time
}

// Files are the uploads that were completed.
func (s *Server) Files() []File {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []File
	for _, f := range s.files {
		if f.Completed {
			list = append(list, *f)
		}
	}
	slices.SortFunc(list, func(a, b File) int { return strings.Compare(a.ID, b.ID) })
	return list
}

func (s *Server) filesUploadURL(a args) (obj, *apiError) {
	length, err := strconv.Atoi(a["length"])
	if a["filename"] == "" || err != nil || length <= 0 {
		return nil, refuse("invalid_arguments", "[ERROR] filename and a positive length are required")
	}
	f := &File{ID: s.id("F"), Name: a["filename"], length: length, until: s.clock.now().Add(10 * time.Minute)}
	s.files[f.ID] = f
	return obj{"upload_url": s.base + "/upload/v1/" + f.ID, "file_id": f.ID}, nil
}

// serveUpload takes the bytes, raw or as the first file of a multipart form.
func (s *Server) serveUpload(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<20))
	if err != nil {
		return
	}
	if f := s.takeFault("upload", nil); f != nil && !s.suffer(w, r, "upload", nil, f) {
		return
	}
	content := body
	if kind, params, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind == "multipart/form-data" {
		part, err := multipart.NewReader(bytes.NewReader(body), params["boundary"]).NextPart()
		if err != nil {
			http.Error(w, "no part in the form", http.StatusBadRequest)
			return
		}
		content, _ = io.ReadAll(part)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keep(content)
	f, ok := s.files[r.PathValue("id")]
	switch {
	case !ok || s.clock.now().After(f.until) || f.Completed:
		http.Error(w, "this upload URL is not open", http.StatusNotFound)
		return
	case len(content) != f.length:
		s.violate("upload of %s: %d bytes, %d were announced", f.Name, len(content), f.length)
		http.Error(w, "length differs from what was announced", http.StatusBadRequest)
		return
	}
	f.Content, f.Uploaded = content, true
	s.record("upload", args{"file": f.ID}, nil)
	s.touch()
	_, _ = io.WriteString(w, "OK - "+strconv.Itoa(len(content)))
}

// filesComplete shares uploads, once: a second time is file_not_found here, as the documentation only
// says "exactly once".
func (s *Server) filesComplete(a args) (obj, *apiError) {
	list := objects(decode[any](a["files"]))
	if len(list) == 0 {
		return nil, refuse("invalid_arguments", "[ERROR] missing required field: files")
	}
	var channels []*Channel
	for _, id := range strings.FieldsFunc(a["channel_id"]+","+a["channels"], func(r rune) bool { return r == ',' }) {
		c, ok := s.channels[id]
		switch {
		case !ok || !c.visible():
			return nil, refuse("channel_not_found")
		case !c.has(botUserID):
			return nil, refuse("not_in_channel")
		}
		channels = append(channels, c)
	}
	if len(channels) > 100 {
		return nil, refuse("too_many_channels")
	}
	var done []*File
	for _, item := range list {
		f, ok := s.files[str(item["id"])]
		if !ok || !f.Uploaded || f.Completed {
			return nil, refuse("file_not_found")
		}
		done = append(done, f)
	}
	says, bad := s.readContent("files.completeUploadExternal", args{"text": a["initial_comment"], "blocks": a["blocks"]})
	if bad != nil {
		return nil, bad
	}
	if a["initial_comment"] != "" {
		says.blocks = nil // the comment overrides blocks
	}
	reply := []obj{}
	for i, f := range done {
		f.Completed, f.Title = true, str(list[i]["title"])
		for _, c := range channels {
			f.Channels = append(f.Channels, c.ID)
		}
		reply = append(reply, obj{"id": f.ID, "title": f.Title})
	}
	for _, c := range channels {
		m := s.post("files.completeUploadExternal", c.ID, says)
		m.ThreadTS, m.Files = a["thread_ts"], done
	}
	return obj{"files": reply}, nil
}
