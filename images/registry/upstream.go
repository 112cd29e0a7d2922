package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// How long an upstream may take. Variables for the tests.
var (
	timeout          = 30 * time.Second
	shortTimeout     = 5 * time.Second
	silenceKept      = 10 * time.Second
	upstreamConnect  = 10 * time.Second
	upstreamStall    = 60 * time.Second
	errSilent        = errors.New("it does not answer in time")
	errStalled       = errors.New("it stopped in the middle")
	errTooLarge      = errors.New("it sends more than a manifest or a list can be")
	errHeadAnswered  = errors.New("answered by the upstream's header alone")
	errNotConfigured = errors.New("is not an http or https URL with a host")
)

// largestText is the largest manifest that distribution takes or reads back. Lists of tags have the same bound.
const largestText = 4 << 20

// A question is what one request wants of the upstream, and what it learnt there. It travels in the request's context
// through distribution's proxy, which keeps little of what the upstream said.
type question struct {
	timeout time.Duration
	// offline: the upstream is not asked at all; what is stored must do.
	offline bool
	// headOnly: the header of a blob is wanted and nothing else; distribution would fetch all of it for a HEAD.
	headOnly bool
	// blob takes the body of the response.
	blob *inflightBlob
	// turns is where this question has a place, which others may have while it waits for the upstream.
	turns turns
	// keepNothing: what comes is handed out and not stored.
	keepNothing bool

	mu         sync.Mutex
	status     int
	retryAfter string
	err        error
	found      http.Header
}

type questionKey struct{}

func (q *question) in(ctx context.Context) context.Context {
	return context.WithValue(ctx, questionKey{}, q)
}

func (q *question) note(response *http.Response, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.status, q.retryAfter, q.err = 0, "", err
	if response != nil {
		q.status, q.retryAfter = response.StatusCode, response.Header.Get("Retry-After")
	}
}

// learnt is the upstream's last word: a status or an error, or neither if it was not asked.
func (q *question) learnt() (status int, retryAfter string, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.status, q.retryAfter, q.err
}

// An upstream is the transport of a cache: to the upstream with its credentials and within its time, to anything else (the
// object store) as it is. distribution's own way of logging in is passed by: it needs the upstream at the start, asks
// for a new token with every request, and makes all requests wait for one ping.
type upstream struct {
	url            *url.URL
	user, password string
	store, next    http.RoundTripper
	tokens         tokens
	silentUntil    atomic.Int64
}

func newUpstream(remote, user, password string, store, next *http.Transport) (*upstream, error) {
	parsed, err := url.Parse(remote)
	if err != nil {
		return nil, err
	}
	if parsed.Host == "" || (parsed.Scheme != "https" && parsed.Scheme != "http") {
		return nil, errNotConfigured
	}
	next.DialContext = (&net.Dialer{Timeout: upstreamConnect}).DialContext
	// Or requests would go on a connection that is dead without a sign, one after the other.
	next.HTTP2 = &http.HTTP2Config{SendPingTimeout: shortTimeout, PingTimeout: shortTimeout}
	return &upstream{url: parsed, user: user, password: password, store: store, next: next}, nil
}

// RoundTrip implements http.RoundTripper.
func (u *upstream) RoundTrip(r *http.Request) (*http.Response, error) {
	if first(r).URL.Host != u.url.Host {
		return u.store.RoundTrip(r)
	}
	if strings.HasSuffix(r.URL.Path, "/v2/") {
		return local(r, http.StatusOK), nil
	}
	q, ok := r.Context().Value(questionKey{}).(*question)
	if !ok {
		q = &question{timeout: timeout}
	}
	if q.offline {
		return local(r, http.StatusNotFound), nil
	}
	response, err := q.waiting(func() (*http.Response, error) { return u.ask(r, q) })
	if response == nil || response.StatusCode < 300 || response.StatusCode > 399 {
		q.note(response, err)
	}
	if q.headOnly && r.Method == http.MethodHead && err == nil && response.StatusCode == http.StatusOK {
		response.Body.Close()
		q.mu.Lock()
		q.found = http.Header{}
		q.found.Set("Content-Length", strconv.FormatInt(response.ContentLength, 10))
		q.found.Set("Content-Type", response.Header.Get("Content-Type"))
		q.mu.Unlock()
		return nil, errHeadAnswered
	}
	switch {
	case err != nil:
	case q.blob != nil && response.StatusCode == http.StatusOK && r.Method == http.MethodHead:
		if err := q.blob.announce(response.ContentLength); err != nil {
			response.Body.Close()
			return nil, err
		}
	case q.blob != nil && response.StatusCode == http.StatusOK:
		if err := q.blob.receive(response); err != nil {
			return nil, err
		}
	default:
		response.Body = &text{ReadCloser: response.Body, left: largestText, until: time.Now().Add(timeout)}
	}
	return response, err
}

// waiting lets others have this question's place for as long as the upstream takes to begin with an answer.
func (q *question) waiting(ask func() (*http.Response, error)) (*http.Response, error) {
	if q.turns != nil {
		q.turns.leave()
		defer func() { q.turns <- struct{}{} }()
	}
	return ask()
}

// first is the request that was redirected to this one.
func first(r *http.Request) *http.Request {
	for r.Response != nil && r.Response.Request != nil {
		r = r.Response.Request
	}
	return r
}

// local is an answer without the upstream: to distribution's ping, from which there is nothing to learn here, and to whoever
// may not ask.
func local(r *http.Request, status int) *http.Response {
	return &http.Response{
		Status: http.StatusText(status), StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: http.NoBody, Request: r,
	}
}

func (u *upstream) ask(r *http.Request, q *question) (*http.Response, error) {
	// What is stored can be served instead: then not every request waits for an upstream that has just been silent.
	if q.timeout < timeout && time.Now().UnixNano() < u.silentUntil.Load() {
		return nil, errSilent
	}
	// The blob as it is, for the digest is of that.
	r = with(r, "Accept-Encoding", "identity")
	if r.URL.Host != u.url.Host {
		return u.send(r, q.timeout)
	}
	return u.authorized(r, q)
}

// send is a round trip within its time: until the header `wait`, then never longer than a stall without a byte.
func (u *upstream) send(r *http.Request, wait time.Duration) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	timer := time.AfterFunc(wait, func() { cancel(errSilent) })
	response, err := u.next.RoundTrip(r.WithContext(ctx))
	if !timer.Stop() && err == nil {
		response.Body.Close()
		err = errSilent
	}
	if err != nil {
		if context.Cause(ctx) == errSilent {
			u.silentUntil.Store(time.Now().Add(silenceKept).UnixNano())
			err = errSilent
		}
		cancel(nil)
		return nil, err
	}
	u.silentUntil.Store(0)
	// Not the request that went out: a redirect is traced back from here.
	response.Request = r
	response.Body = &watchedBody{ReadCloser: response.Body, ctx: ctx, cancel: cancel}
	return response, nil
}

// A watchedBody ends when no byte came for the time of a stall.
type watchedBody struct {
	io.ReadCloser
	ctx    context.Context
	cancel context.CancelCauseFunc
}

func (b *watchedBody) Read(p []byte) (int, error) {
	timer := time.AfterFunc(upstreamStall, func() { b.cancel(errStalled) })
	n, err := b.ReadCloser.Read(p)
	timer.Stop()
	if err != nil && context.Cause(b.ctx) == errStalled {
		err = errStalled
	}
	return n, err
}

func (b *watchedBody) Close() error {
	b.cancel(nil)
	return b.ReadCloser.Close()
}

// A text is a body that ends with an error when it is too large, or takes too long: it has a place that others wait for.
type text struct {
	io.ReadCloser
	left  int
	until time.Time
}

func (t *text) Read(p []byte) (int, error) {
	if t.left <= 0 {
		return 0, errTooLarge
	}
	if time.Now().After(t.until) {
		return 0, errStalled
	}
	n, err := t.ReadCloser.Read(p[:min(len(p), t.left)])
	t.left -= n
	return n, err
}
