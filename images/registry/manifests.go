package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
)

// A call is a request for a manifest that is under way; equal ones wait for its answer. It keeps its turn until all of them
// have got it: until then the answer is in memory.
type call struct {
	done   chan struct{}
	answer *answer
	users  int
	turn   bool
}

// turns are places for what is kept in memory as a whole: manifests and lists. Waiting for an upstream takes none.
type turns chan struct{}

func (t turns) take(ctx context.Context, within time.Duration) bool {
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case t <- struct{}{}:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

func (t turns) leave() { <-t }

func (c *cache) crowded() *answer {
	return c.spool.busy(fmt.Sprintf("it has %d manifests in hand", cap(c.turns)))
}

func (c *cache) serveManifest(w http.ResponseWriter, r *http.Request, reference string) {
	key := strings.Join([]string{
		r.Method, r.URL.RequestURI(), strings.Join(r.Header["Accept"], ","), strings.Join(r.Header["If-None-Match"], ","),
	}, "\n")
	c.mu.Lock()
	under, found := c.calls[key]
	if !found {
		under = &call{done: make(chan struct{}), users: 1}
		c.calls[key] = under
		go func() {
			if under.turn = c.turns.take(context.Background(), c.spool.bounds.queue); under.turn {
				under.answer = c.manifest(detached(r), reference)
			} else {
				under.answer = c.crowded()
			}
			c.mu.Lock()
			delete(c.calls, key)
			c.mu.Unlock()
			close(under.done)
			c.done(under)
		}()
	}
	under.users++
	c.mu.Unlock()
	defer c.done(under)
	select {
	case <-under.done:
		under.answer.send(w, r.Method)
	case <-r.Context().Done():
	}
}

// done is said by each user of a call; its turn ends with the last one.
func (c *cache) done(under *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if under.users--; under.users == 0 && under.turn {
		c.turns.leave()
	}
}

// manifest asks with a short timeout first: a tag that is stored is then served although the upstream hangs.
func (c *cache) manifest(r *http.Request, reference string) *answer {
	kept := c.storage.reserve(largestText)
	if kept {
		defer c.storage.unreserve(largestText)
	}
	q := &question{timeout: shortTimeout, turns: c.turns, keepNothing: !kept}
	got := c.ask(r, r.Method, q)
	status, _, err := q.learnt()
	switch {
	case got.status < 400:
	case err == errSilent:
		q = &question{timeout: timeout, turns: c.turns, keepNothing: !kept}
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
	if status, _, err := q.learnt(); got.status < 400 && err == nil && gone(status) {
		c.storage.forget(r.Context(), repository.FindStringSubmatch(r.URL.Path)[1], reference)
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
