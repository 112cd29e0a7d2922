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

// A behaviour is what `set` asks for.
type behaviour struct{ Delay, Bandwidth, Fault, Match string }

// A mood is a behaviour that was understood.
type mood struct {
	delay time.Duration
	fault string
	match *regexp.Regexp
	pace  *pace
}

// understand reads a behaviour; what is wrong with it is said by flag.
func understand(b behaviour) (*mood, error) {
	m := &mood{fault: b.Fault, match: blobsAndManifests}
	if !slices.Contains(faults, b.Fault) {
		return nil, fmt.Errorf("--fault %s: one of %s", b.Fault, strings.Join(faults, ", "))
	}
	var err error
	if m.delay, err = time.ParseDuration(b.Delay); err != nil || m.delay < 0 {
		return nil, fmt.Errorf("--delay %s: a time such as 50ms", b.Delay)
	}
	if b.Match != "" {
		if m.match, err = regexp.Compile(b.Match); err != nil {
			return nil, fmt.Errorf("--match: %w", err)
		}
	} else if b.Fault == "down" {
		// A registry that is down answers nothing at all.
		m.match = regexp.MustCompile("")
	}
	if b.Bandwidth != "" {
		bits, err := bitsPerSecond(b.Bandwidth)
		if err != nil {
			return nil, err
		}
		m.pace = &pace{bytesPerSecond: bits / 8}
	}
	return m, nil
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

// A pace is a bandwidth that all connections share.
type pace struct {
	bytesPerSecond float64
	mu             sync.Mutex
	free           time.Time
}

// wait returns when so many bytes have had their time.
func (p *pace) wait(bytes int) {
	p.mu.Lock()
	if now := time.Now(); p.free.Before(now) {
		p.free = now
	}
	p.free = p.free.Add(time.Duration(float64(bytes) / p.bytesPerSecond * float64(time.Second)))
	until := p.free
	p.mu.Unlock()
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

// A moody registry is a registry whose pulls follow a mood. Pushes are never disturbed.
type moody struct {
	inner   http.Handler
	require string

	mu      sync.Mutex
	mood    *mood
	counted statistics
}

func newMoody(inner http.Handler, require string) *moody {
	made := &moody{inner: inner, require: require, mood: &mood{fault: "none", match: blobsAndManifests}}
	made.stats(true)
	return made
}

func (m *moody) behave(wanted behaviour) error {
	understood, err := understand(wanted)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mood = understood
	return nil
}

func (m *moody) stats(reset bool) statistics {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.counted
	now.Paths = make(map[string]*counts, len(m.counted.Paths))
	for path, count := range m.counted.Paths {
		copied := *count
		now.Paths[path] = &copied
	}
	if reset {
		m.counted = statistics{Paths: map[string]*counts{}}
	}
	return now
}

// count adds a request or bytes that were sent.
func (m *moody) count(r *http.Request, requests int, bytes int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	path := r.Method + " " + r.URL.Path
	if m.counted.Paths[path] == nil {
		m.counted.Paths[path] = &counts{}
	}
	m.counted.Paths[path].Requests += requests
	m.counted.Paths[path].Bytes += int64(bytes)
	m.counted.Requests += requests
	m.counted.Bytes += int64(bytes)
	if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") {
		m.counted.BlobRequests += requests
	}
}

// ServeHTTP implements http.Handler.
func (m *moody) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		m.inner.ServeHTTP(w, r)
		return
	}
	m.mu.Lock()
	mood := m.mood
	m.mu.Unlock()
	m.count(r, 1, 0)
	time.Sleep(mood.delay)
	fault := "none"
	if mood.match.MatchString(r.URL.Path) {
		fault = mood.fault
	}
	user, password, _ := r.BasicAuth()
	if m.require != "" && user+":"+password != m.require {
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
		m.inner.ServeHTTP(&faulty{ResponseWriter: w, moody: m, mood: mood, request: r, fault: fault}, r)
	}
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"errors":[{"code":%q,"message":"a fault that was asked for"}]}`, code)
}
