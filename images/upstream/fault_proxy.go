package main

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

var faults = []string{"none", "down", "429", "500", "wrong", "empty", "truncated", "stall", "unauthorized"}

var blobsAndManifests = regexp.MustCompile(`^/v2/.+/(blobs|manifests)/`)

// A faultConfig is what `set` sends.
type faultConfig struct{ Delay, Bandwidth, Fault, Match string }

// An injection is a valid faultConfig, parsed.
type injection struct {
	delay    time.Duration
	fault    string
	match    *regexp.Regexp
	throttle *throttle
}

// parse validates a faultConfig; its error names the flag.
func (c faultConfig) parse() (*injection, error) {
	parsed := &injection{fault: c.Fault, match: blobsAndManifests}
	if !slices.Contains(faults, c.Fault) {
		return nil, fmt.Errorf("--fault %s: one of %s", c.Fault, strings.Join(faults, ", "))
	}
	var err error
	if parsed.delay, err = time.ParseDuration(c.Delay); err != nil || parsed.delay < 0 {
		return nil, fmt.Errorf("--delay %s: a time such as 50ms", c.Delay)
	}
	if c.Match != "" {
		if parsed.match, err = regexp.Compile(c.Match); err != nil {
			return nil, fmt.Errorf("--match: %w", err)
		}
	} else if c.Fault == "down" {
		// A registry that is down answers nothing at all.
		parsed.match = regexp.MustCompile("")
	}
	if c.Bandwidth != "" {
		bits, err := bitsPerSecond(c.Bandwidth)
		if err != nil {
			return nil, err
		}
		parsed.throttle = &throttle{bytesPerSecond: bits / 8}
	}
	return parsed, nil
}

func bitsPerSecond(text string) (float64, error) {
	unit := 1.0
	if i := strings.IndexAny(text, "kKMG"); i == len(text)-1 && i > 0 {
		unit = map[byte]float64{'k': 1e3, 'K': 1e3, 'M': 1e6, 'G': 1e9}[text[i]]
		text = text[:i]
	}
	number, err := strconv.ParseFloat(text, 64)
	if err != nil || number <= 0 {
		return 0, fmt.Errorf("--bandwidth %s: bits per second such as 100M", text)
	}
	return number * unit, nil
}

// A throttle is a bandwidth that all connections share.
type throttle struct {
	bytesPerSecond float64
	mu             sync.Mutex
	free           time.Time
}

// wait blocks for as long as so many bytes take at the bandwidth.
func (t *throttle) wait(bytes int) {
	t.mu.Lock()
	if now := time.Now(); t.free.Before(now) {
		t.free = now
	}
	t.free = t.free.Add(time.Duration(float64(bytes) / t.bytesPerSecond * float64(time.Second)))
	until := t.free
	t.mu.Unlock()
	time.Sleep(time.Until(until))
}

// Counts of one path or of all.
type counts struct {
	Requests int   `json:"requests"`
	Bytes    int64 `json:"bytes"`
}

// Statistics of pulls since the start or the last reset.
type statistics struct {
	Requests     int                `json:"requests"`
	BlobRequests int                `json:"blob_requests"`
	Bytes        int64              `json:"bytes"`
	Paths        map[string]*counts `json:"paths"`
}

// A faultProxy stands before a registry and injects faults into pulls. Pushes pass unchanged.
type faultProxy struct {
	inner   http.Handler
	require string

	mu        sync.Mutex
	injection *injection
	counted   statistics
}

func newFaultProxy(inner http.Handler, require string) *faultProxy {
	p := &faultProxy{inner: inner, require: require, injection: &injection{fault: "none", match: blobsAndManifests}}
	p.stats(true)
	return p
}

// configure replaces the faults that are injected.
func (p *faultProxy) configure(config faultConfig) error {
	parsed, err := config.parse()
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.injection = parsed
	return nil
}

func (p *faultProxy) stats(reset bool) statistics {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.counted
	now.Paths = make(map[string]*counts, len(p.counted.Paths))
	for path, count := range p.counted.Paths {
		copied := *count
		now.Paths[path] = &copied
	}
	if reset {
		p.counted = statistics{Paths: map[string]*counts{}}
	}
	return now
}

// count adds a request or bytes that were sent.
func (p *faultProxy) count(r *http.Request, requests int, bytes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	path := r.Method + " " + r.URL.Path
	if p.counted.Paths[path] == nil {
		p.counted.Paths[path] = &counts{}
	}
	p.counted.Paths[path].Requests += requests
	p.counted.Paths[path].Bytes += int64(bytes)
	p.counted.Requests += requests
	p.counted.Bytes += int64(bytes)
	if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") {
		p.counted.BlobRequests += requests
	}
}

// ServeHTTP implements http.Handler.
func (p *faultProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		p.inner.ServeHTTP(w, r)
		return
	}
	p.mu.Lock()
	injection := p.injection
	p.mu.Unlock()
	p.count(r, 1, 0)
	time.Sleep(injection.delay)
	fault := "none"
	if injection.match.MatchString(r.URL.Path) {
		fault = injection.fault
	}
	user, password, _ := r.BasicAuth()
	if p.require != "" && user+":"+password != p.require {
		fault = "unauthorized"
	}
	switch fault {
	case "down":
		panic(http.ErrAbortHandler)
	case "429":
		w.Header().Set("Retry-After", "60")
		refuse(w, http.StatusTooManyRequests, "TOOMANYREQUESTS")
	case "500":
		refuse(w, http.StatusInternalServerError, "UNKNOWN")
	case "unauthorized":
		w.Header().Set("WWW-Authenticate", `Basic realm="upstream"`)
		refuse(w, http.StatusUnauthorized, "UNAUTHORIZED")
	default:
		p.inner.ServeHTTP(&faultyResponse{ResponseWriter: w, proxy: p, injection: injection, request: r, fault: fault}, r)
	}
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"errors":[{"code":%q,"message":"a fault that was asked for"}]}`, code)
}
