package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
)

// limits are how long a server of the object store may take.
type limits struct {
	connect, handshake, stall, skip, probeEvery, probe, quiet time.Duration
}

var usual = limits{
	connect: 500 * time.Millisecond, handshake: 2 * time.Second, stall: 20 * time.Second, skip: 5 * time.Second,
	probeEvery: time.Second, probe: 1500 * time.Millisecond, quiet: 3 * time.Second,
}

// An endpoint stands for several servers with one name: a connection to its address goes to one of them in turn, those that
// failed lately last. A server that is frozen takes connections and never answers, so it is found out in three ways: by a
// TLS handshake that does not end, by a connection on which nothing moves while an answer is due, and by a question each
// second. Its connections are closed then; the S3 client repeats what was under way at another server.
type endpoint struct {
	address string
	servers []string
	limits  limits

	mu     sync.Mutex
	next   int
	failed map[string]time.Time
	open   map[*serverConn]struct{}
}

func newEndpoint(address, servers string, limits limits) *endpoint {
	return &endpoint{
		address: address,
		servers: strings.FieldsFunc(servers, func(c rune) bool { return c == ',' || c == ' ' }),
		limits:  limits,
		failed:  map[string]time.Time{},
		open:    map[*serverConn]struct{}{},
	}
}

// install makes a transport use the endpoint, and starts asking the servers.
func (e *endpoint) install(transport *http.Transport) {
	asked := transport.Clone()
	dial, proxy := transport.DialContext, transport.Proxy
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if address != e.address {
			return dial(ctx, network, address)
		}
		return e.dial(ctx, network)
	}
	transport.Proxy = func(r *http.Request) (*url.URL, error) {
		if r.URL.Host == e.address || proxy == nil {
			return nil, nil
		}
		return proxy(r)
	}
	transport.TLSHandshakeTimeout = e.limits.handshake
	transport.MaxIdleConnsPerHost = 32
	// Shorter than the stall: a connection on which nothing moves for that long is then one that owes an answer.
	transport.IdleConnTimeout = e.limits.stall * 3 / 4
	for _, server := range e.servers {
		go e.probe(server, asked.Clone())
	}
}

func (e *endpoint) dial(ctx context.Context, network string) (net.Conn, error) {
	failure := fmt.Errorf("BERTH_ENDPOINT_SERVERS names no server")
	dialer := &net.Dialer{Timeout: e.limits.connect}
	for _, server := range e.order() {
		conn, err := dialer.DialContext(ctx, network, server)
		if err == nil {
			return e.watch(server, conn), nil
		}
		if ctx.Err() != nil {
			return nil, err
		}
		e.fail(server, err.Error())
		failure = err
	}
	return nil, failure
}

// order is whom to try: in turn those that work, then those that failed lately.
func (e *endpoint) order() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var good, bad []string
	now := time.Now()
	for _, server := range e.servers {
		if now.Before(e.failed[server]) {
			bad = append(bad, server)
		} else {
			good = append(good, server)
		}
	}
	if len(good) > 0 {
		first := e.next % len(good)
		e.next++
		good = slices.Concat(good[first:], good[:first])
	}
	return append(good, bad...)
}

func (e *endpoint) fail(server, why string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if time.Now().After(e.failed[server]) {
		logrus.Warnf("object store server %s is left out for a while: %s", server, why)
	}
	e.failed[server] = time.Now().Add(e.limits.skip)
}

// probe asks a server each second whether it lives; any answer will do. After two without one, what waits for it is cut.
func (e *endpoint) probe(server string, transport *http.Transport) {
	transport.Proxy = nil
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, server)
	}
	client := &http.Client{Transport: transport, Timeout: e.limits.probe}
	missed := 0
	for range time.Tick(e.limits.probeEvery) {
		response, err := client.Get("https://" + e.address + "/minio/health/live")
		if err == nil {
			response.Body.Close()
		}
		var late net.Error
		if !errors.As(err, &late) || !late.Timeout() {
			missed = 0
			continue
		}
		if missed++; missed > 1 {
			e.fail(server, "it does not answer")
			e.cut(server)
		}
	}
}

// cut closes the connections of a server on which nothing has moved lately.
func (e *endpoint) cut(server string) {
	e.mu.Lock()
	var quiet []*serverConn
	for conn := range e.open {
		if conn.server == server && time.Since(time.Unix(0, conn.moved.Load())) > e.limits.quiet {
			quiet = append(quiet, conn)
		}
	}
	e.mu.Unlock()
	for _, conn := range quiet {
		conn.Conn.Close()
	}
}

func (e *endpoint) watch(server string, conn net.Conn) net.Conn {
	watched := &serverConn{Conn: conn, endpoint: e, server: server, opened: time.Now()}
	watched.moved.Store(watched.opened.UnixNano())
	e.mu.Lock()
	defer e.mu.Unlock()
	e.open[watched] = struct{}{}
	return watched
}

// A serverConn is a connection to one server of an endpoint.
type serverConn struct {
	net.Conn
	endpoint *endpoint
	server   string
	opened   time.Time
	moved    atomic.Int64
	heard    atomic.Bool
}

func (c *serverConn) Read(p []byte) (int, error) {
	c.Conn.SetReadDeadline(time.Now().Add(c.endpoint.limits.stall))
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.heard.Store(true)
		c.moved.Store(time.Now().UnixNano())
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.endpoint.fail(c.server, "a connection to it stalled")
	}
	if err != nil && err != io.EOF {
		// Not the error itself: the S3 client does not repeat a request whose connection was reset while it waited.
		err = fmt.Errorf("object store server %s: %v", c.server, err)
	}
	return n, err
}

func (c *serverConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if n > 0 {
		c.moved.Store(time.Now().UnixNano())
		c.Conn.SetReadDeadline(time.Now().Add(c.endpoint.limits.stall))
	}
	return n, err
}

func (c *serverConn) Close() error {
	c.endpoint.mu.Lock()
	_, open := c.endpoint.open[c]
	delete(c.endpoint.open, c)
	c.endpoint.mu.Unlock()
	// Given up before a single byte came: the handshake's time was over.
	if open && !c.heard.Load() && time.Since(c.opened) > c.endpoint.limits.handshake/2 {
		c.endpoint.fail(c.server, "the TLS handshake did not end")
	}
	return c.Conn.Close()
}
