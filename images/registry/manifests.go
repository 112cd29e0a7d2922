package main

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/opencontainers/go-digest"
)

// A call is a request for a manifest that is under way; equal ones wait for its answer.
type call struct {
	done   chan struct{}
	answer *answer
}

func (c *cache) serveManifest(w http.ResponseWriter, r *http.Request, reference string) {
	key := strings.Join([]string{
		r.Method, r.URL.RequestURI(), strings.Join(r.Header["Accept"], ","), strings.Join(r.Header["If-None-Match"], ","),
	}, "\n")
	c.mu.Lock()
	under, found := c.calls[key]
	if !found {
		under = &call{done: make(chan struct{})}
		c.calls[key] = under
		go func() {
			under.answer = c.manifest(detached(r), reference)
			c.mu.Lock()
			delete(c.calls, key)
			c.mu.Unlock()
			close(under.done)
		}()
	}
	c.mu.Unlock()
	select {
	case <-under.done:
		under.answer.send(w, r.Method)
	case <-r.Context().Done():
	}
}

// manifest asks with little patience first: a tag that is stored is then served although the upstream hangs.
func (c *cache) manifest(r *http.Request, reference string) *answer {
	q := &question{patience: shortPatience}
	got := c.ask(r, r.Method, q)
	status, _, err := q.learnt()
	switch {
	case got.status < 400:
	case err == errSilent:
		q = &question{patience: patience}
		got = c.ask(r, r.Method, q)
	case status == http.StatusOK && got.status >= 500:
		// The upstream has it, but it can't be written down: what is stored can still be read.
		if stored := c.ask(r, r.Method, &question{offline: true}); stored.status < 400 {
			got = stored
		}
	}
	if got.status == http.StatusOK && r.Method == http.MethodGet {
		if wrong := mismatch(got, reference); wrong != "" {
			return refusal(http.StatusBadGateway, "DIGEST_INVALID", fmt.Sprintf("upstream %s sent %s", c.upstream, wrong))
		}
	}
	return c.result(q, got)
}

// mismatch says how a manifest differs from its digest, or nothing.
func mismatch(got *answer, reference string) string {
	claimed := digest.Digest(got.header.Get("Docker-Content-Digest"))
	if asked := digest.Digest(reference); asked.Validate() == nil {
		claimed = asked
	}
	if claimed.Validate() != nil {
		return "a manifest without a digest"
	}
	if actual := claimed.Algorithm().FromBytes(got.body.Bytes()); actual != claimed {
		return fmt.Sprintf("%s as manifest %s", actual, claimed)
	}
	return ""
}
