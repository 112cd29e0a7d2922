package main

import (
	"bytes"
	"context"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/sirupsen/logrus"
)

var content = regexp.MustCompile(`^/v2/(.+)/(manifests|blobs)/([^/]+)$`)

// A cache stands before distribution's proxy. Of one blob it lets one request through, and everybody who wants that blob
// reads along while it comes in; of manifests it asks one of several equal questions. It checks digests before it lets go
// of the last bytes, and puts errors into words that a client can use. What it may use of disk, memory and storage is bounded.
type cache struct {
	upstream string
	remote   url.URL
	inner    http.Handler
	spool    *spool
	storage  *boundedStorage
	turns    turns

	mu       sync.Mutex
	inflight map[string]*inflightBlob
	calls    map[string]*call
}

// newCache stands before `inner`, whose storage is `kept`. A configuration that does not name it stores without a bound.
func newCache(remote string, limits bounds, kept *boundedStorage, inner http.Handler) *cache {
	if kept == nil {
		kept = newBoundedStorage(nil)
		limits.keep = math.MaxInt64
	}
	kept.limit = limits.keep
	made := &cache{
		upstream: remote, inner: inner, spool: newSpool(limits), storage: kept, turns: make(turns, limits.texts),
		inflight: map[string]*inflightBlob{}, calls: map[string]*call{},
	}
	if parsed, err := url.Parse(remote); err == nil {
		made.upstream, made.remote = parsed.Host, *parsed
	}
	return made
}

// counts is what a cache does at the moment, and what it has had to refuse.
func (c *cache) counts() any {
	c.spool.mu.Lock()
	taken := c.spool.taken
	c.spool.mu.Unlock()
	return map[string]int64{
		"fetches": int64(len(c.spool.places)), "spool_bytes": taken, "refused": c.spool.refused.Load(),
		"abandoned": c.spool.abandoned.Load(), "stored_bytes": c.storage.used(), "max_bytes": c.storage.limit,
		"not_kept": c.storage.notKept.Load(), "texts": int64(len(c.turns)),
	}
}

// ServeHTTP implements http.Handler.
func (c *cache) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	match := content.FindStringSubmatch(r.URL.Path)
	reading := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case !reading:
		c.inner.ServeHTTP(w, r)
	case match != nil && match[2] == "manifests":
		c.serveManifest(w, r, match[3])
	case match != nil && digest.Digest(match[3]).Validate() == nil:
		c.serveBlob(w, r, digest.Digest(match[3]))
	default:
		if !c.turns.take(r.Context(), c.spool.bounds.queue) {
			c.crowded().send(w, r.Method)
			return
		}
		defer c.turns.leave()
		q := &question{timeout: timeout, turns: c.turns}
		c.result(q, c.ask(r, r.Method, q)).send(w, r.Method)
	}
}

// ask runs a request to its end and keeps the answer; for what is small.
func (c *cache) ask(r *http.Request, method string, q *question) *answer {
	request := r.Clone(q.in(r.Context()))
	request.Method = method
	kept := &answer{header: http.Header{}}
	c.run(kept, request)
	if kept.status == 0 {
		kept.status = http.StatusOK
	}
	return kept
}

// run keeps a panic of the inner handler from ending the process: it may run outside of a request of the server's.
func (c *cache) run(w http.ResponseWriter, r *http.Request) {
	defer func() {
		if failure := recover(); failure != nil {
			logrus.Errorf("%s %s: %v", r.Method, r.URL.Path, failure)
			w.WriteHeader(http.StatusInternalServerError)
		}
	}()
	c.inner.ServeHTTP(w, r)
}

// An answer is a whole response in memory.
type answer struct {
	status int
	header http.Header
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}

func (a *answer) send(w http.ResponseWriter, method string) {
	control := http.NewResponseController(w)
	control.SetWriteDeadline(time.Now().Add(timeout))
	defer control.SetWriteDeadline(time.Time{})
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.WriteHeader(a.status)
	if method != http.MethodHead {
		w.Write(a.body.Bytes())
	}
}

// detached is a request that goes on when its client leaves.
func detached(r *http.Request) *http.Request {
	return r.Clone(context.WithoutCancel(r.Context()))
}

// Error lets an answer be the error of an inflightBlob.
func (a *answer) Error() string { return a.body.String() }
