package chatroom

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
)

// The browser client as it is in git: no build step.
//
//go:embed ui/*.js ui/*.html
var uiFiles embed.FS

// uiFile is one file as it is served.
type uiFile struct {
	body []byte
	etag string
}

// uiByName reads the embedded files once.
var uiByName = sync.OnceValue(func() map[string]uiFile {
	files := make(map[string]uiFile)
	entries, err := uiFiles.ReadDir("ui")
	if err != nil {
		panic(err) // the compiler embedded it
	}
	for _, e := range entries {
		body, err := uiFiles.ReadFile("ui/" + e.Name())
		if err != nil {
			panic(err)
		}
		sum := sha256.Sum256(body)
		files[e.Name()] = uiFile{body, `"` + hex.EncodeToString(sum[:12]) + `"`}
	}
	return files
})

var contentTypes = map[string]string{
	".js":   "text/javascript; charset=utf-8",
	".html": "text/html; charset=utf-8",
}

// pagePolicy is the Content-Security-Policy of the hub's own page; a host's page
// can have the same.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"

// serveUI serves the page at the mount's root and the files under ui/. Browsers
// keep them and ask each time whether they changed.
func serveUI(w http.ResponseWriter, r *http.Request, name string) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
		return
	}
	if name == "" {
		name = "ui/index.html"
	}
	file, ok := uiByName()[strings.TrimPrefix(name, "ui/")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	head := w.Header()
	head.Set("Content-Type", contentTypes[path.Ext(name)])
	head.Set("Cache-Control", "no-cache")
	head.Set("ETag", file.etag)
	if path.Ext(name) == ".html" {
		head.Set("Content-Security-Policy", pagePolicy)
		head.Set("Referrer-Policy", "same-origin")
	}
	if matches(r.Header.Get("If-None-Match"), file.etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	head.Set("Content-Length", strconv.Itoa(len(file.body)))
	if r.Method == http.MethodGet {
		w.Write(file.body)
	}
}

// matches reports whether an If-None-Match header names the tag (RFC 9110 §13.1.2).
func matches(header, etag string) bool {
	for tag := range strings.SplitSeq(header, ",") {
		if tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/"); tag == etag || tag == "*" {
			return true
		}
	}
	return false
}
