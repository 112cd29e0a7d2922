package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	"github.com/opencontainers/go-digest"
	"github.com/sirupsen/logrus"
)

const manifestType = "application/vnd.oci.image.manifest.v1+json"

func TestMain(m *testing.M) {
	os.Setenv("OTEL_TRACES_EXPORTER", "none")
	logrus.SetOutput(io.Discard)
	shortTimeout, timeout, upstreamStall = time.Second, 3*time.Second, time.Second
	os.Exit(m.Run())
}

// A hub is a stand-in upstream: what it has, how it misbehaves, and what it was asked.
type hub struct {
	*httptest.Server
	content map[string][]byte
	tags    map[string]string

	mu    sync.Mutex
	asked map[string]int
	fault func(w http.ResponseWriter, r *http.Request, body []byte) bool
}

func newHub(t *testing.T) *hub {
	h := &hub{content: map[string][]byte{}, tags: map[string]string{}, asked: map[string]int{}}
	h.Server = httptest.NewServer(h)
	t.Cleanup(h.Server.Close)
	return h
}

func (h *hub) add(body []byte) digest.Digest {
	name := digest.FromBytes(body)
	h.content[name.String()] = body
	return name
}

// image adds an image of random blobs and a tag of it.
func (h *hub) image(tag string, sizes ...int) (manifest digest.Digest, blobs []digest.Digest) {
	type descriptor struct {
		MediaType string        `json:"mediaType"`
		Digest    digest.Digest `json:"digest"`
		Size      int           `json:"size"`
	}
	layers := []descriptor{}
	for _, size := range sizes {
		body := make([]byte, size)
		rand.Read(body)
		name := h.add(body)
		blobs = append(blobs, name)
		layers = append(layers, descriptor{"application/vnd.oci.image.layer.v1.tar", name, size})
	}
	config := descriptor{"application/vnd.oci.image.config.v1+json", h.add([]byte("{}")), 2}
	text, _ := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": manifestType, "config": config, "layers": layers,
	})
	manifest = h.add(text)
	h.tags[tag] = manifest.String()
	return manifest, blobs
}

func (h *hub) misbehave(fault func(w http.ResponseWriter, r *http.Request, body []byte) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fault = fault
}

func (h *hub) count(what string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.asked[what]
}

func (h *hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	if tagged, ok := h.tags[name]; ok {
		name = tagged
	}
	h.mu.Lock()
	h.asked[r.Method+" "+name]++
	h.asked[r.Method]++
	fault := h.fault
	h.mu.Unlock()
	body, ok := h.content[name]
	if ok {
		w.Header().Set("Docker-Content-Digest", name)
		w.Header().Set("Content-Type", "application/octet-stream")
		if strings.Contains(r.URL.Path, "/manifests/") {
			w.Header().Set("Content-Type", manifestType)
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	if fault != nil && fault(w, r, body) {
		return
	}
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if r.Method == http.MethodGet {
		w.Write(body)
	}
}

// cacheOf is a cache of the hub over a folder, as a process would run it.
func cacheOf(t *testing.T, h *hub, folder string, login ...string) *httptest.Server {
	t.Helper()
	server, _ := boundedCacheOf(t, h, folder, usualBounds, login...)
	return server
}

// boundedCacheOf is the same with other bounds, and with the cache itself.
func boundedCacheOf(t *testing.T, h *hub, folder string, limits bounds, login ...string) (*httptest.Server, *cache) {
	t.Helper()
	text := fmt.Sprintf("version: 0.1\nstorage:\n  filesystem: {rootdirectory: %q}\n"+
		"  maintenance: {uploadpurging: {enabled: false}}\nmiddleware: {storage: [{name: berth-unchanged}]}\nproxy: {remoteurl: %q, ttl: 0}\nhttp: {addr: '127.0.0.1:0'}\n", folder, h.URL)
	config, err := configuration.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	login = append(login, "", "")
	store := &http.Transport{}
	guarded, err := newUpstream(h.URL, login[0], login[1], store, store.Clone())
	if err != nil {
		t.Fatal(err)
	}
	http.DefaultTransport = guarded
	ctx, cancel := context.WithCancel(context.Background())
	app := handlers.NewApp(ctx, config)
	made := newCache(h.URL, limits, opened.Load(), app)
	server := httptest.NewServer(made)
	t.Cleanup(func() { server.Close(); made.settle(); cancel() })
	return server, made
}

// settle waits until what came in is stored.
func (c *cache) settle() {
	for busy := true; busy; time.Sleep(5 * time.Millisecond) {
		c.mu.Lock()
		busy = len(c.inflight) > 0
		c.mu.Unlock()
	}
}

var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}}

type reply struct {
	status int
	header http.Header
	body   []byte
	err    error
	first  time.Duration
}

func (r reply) code() string {
	var problem struct {
		Errors []struct{ Code, Message string }
	}
	if json.Unmarshal(r.body, &problem) != nil || len(problem.Errors) == 0 {
		return ""
	}
	return problem.Errors[0].Code
}

func get(server *httptest.Server, method, path string, headers ...string) reply {
	request, _ := http.NewRequest(method, server.URL+"/v2/library/app/"+path, nil)
	request.Header.Set("Accept", manifestType)
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	begun := time.Now()
	response, err := client.Do(request)
	if err != nil {
		return reply{err: err}
	}
	defer response.Body.Close()
	one := make([]byte, 1)
	n, _ := io.ReadFull(response.Body, one)
	first := time.Since(begun)
	rest, err := io.ReadAll(response.Body)
	return reply{response.StatusCode, response.Header, append(one[:n], rest...), err, first}
}

func herd(n int, ask func(i int) reply) []reply {
	replies := make([]reply, n)
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() { replies[i] = ask(i) })
	}
	group.Wait()
	return replies
}

// dripping sends blobs in pieces with pauses between them.
func dripping(pieces int, pause time.Duration) func(http.ResponseWriter, *http.Request, []byte) bool {
	return func(w http.ResponseWriter, r *http.Request, body []byte) bool {
		if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/blobs/") {
			return false
		}
		for i := range pieces {
			w.Write(body[len(body)*i/pieces : len(body)*(i+1)/pieces])
			http.NewResponseController(w).Flush()
			time.Sleep(pause)
		}
		return true
	}
}

func onGet(part string, act func(w http.ResponseWriter, body []byte)) func(http.ResponseWriter, *http.Request, []byte) bool {
	return func(w http.ResponseWriter, r *http.Request, body []byte) bool {
		if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, part) {
			return false
		}
		act(w, body)
		return true
	}
}

func status(code int) func(http.ResponseWriter, *http.Request, []byte) bool {
	return func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
		w.Header().Set("Content-Length", "0")
		w.Header().Set("Retry-After", "77")
		w.WriteHeader(code)
		return true
	}
}

func wrong(w http.ResponseWriter, body []byte) {
	other := bytes.Clone(body)
	other[len(other)/2] ^= 1
	w.Write(other)
}

func empty(w http.ResponseWriter, _ []byte) {
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusOK)
}

func truncated(w http.ResponseWriter, body []byte) {
	w.Write(body[:len(body)/2])
	panic(http.ErrAbortHandler)
}

func stall(w http.ResponseWriter, body []byte) {
	w.Write(body[:len(body)/2])
	http.NewResponseController(w).Flush()
	time.Sleep(2 * upstreamStall)
}

func TestAHerdCostsTheUpstreamOneFetchAndAllReadAlong(t *testing.T) {
	h := newHub(t)
	_, blobs := h.image("1", 4<<20)
	h.misbehave(dripping(8, 250*time.Millisecond))
	server := cacheOf(t, h, t.TempDir())
	for _, got := range herd(8, func(int) reply { return get(server, "GET", "blobs/"+blobs[0].String()) }) {
		if got.err != nil || got.status != 200 || digest.FromBytes(got.body) != blobs[0] {
			t.Fatalf("%d %v, %d bytes", got.status, got.err, len(got.body))
		}
		if got.first > time.Second {
			t.Errorf("the first byte came after %v", got.first)
		}
	}
	if n := h.count("GET " + blobs[0].String()); n != 1 {
		t.Errorf("the upstream was asked %d times", n)
	}
	h.Close()
	if got := get(server, "GET", "blobs/"+blobs[0].String()); digest.FromBytes(got.body) != blobs[0] {
		t.Errorf("not kept: %d", got.status)
	}
}

func TestAFetchGoesOnWhenTheFirstClientLeaves(t *testing.T) {
	h := newHub(t)
	_, blobs := h.image("1", 1<<20)
	h.misbehave(dripping(8, 50*time.Millisecond))
	server := cacheOf(t, h, t.TempDir())
	ctx, leave := context.WithCancel(context.Background())
	request, _ := http.NewRequestWithContext(ctx, "GET", server.URL+"/v2/library/app/blobs/"+blobs[0].String(), nil)
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	leave()
	response.Body.Close()
	if got := get(server, "GET", "blobs/"+blobs[0].String()); digest.FromBytes(got.body) != blobs[0] {
		t.Errorf("%d %v", got.status, got.err)
	}
	if n := h.count("GET " + blobs[0].String()); n != 1 {
		t.Errorf("the upstream was asked %d times", n)
	}
}

func TestNothingWrongIsHandedOutOrKept(t *testing.T) {
	for name, fault := range map[string]func(http.ResponseWriter, []byte){
		"wrong": wrong, "empty": empty, "truncated": truncated, "stall": stall,
	} {
		for _, size := range []int{100, 1 << 20} {
			t.Run(fmt.Sprint(name, size), func(t *testing.T) {
				h := newHub(t)
				_, blobs := h.image("1", size)
				h.misbehave(onGet("/blobs/", fault))
				server := cacheOf(t, h, t.TempDir())
				for _, got := range herd(3, func(int) reply { return get(server, "GET", "blobs/"+blobs[0].String()) }) {
					switch {
					case got.status == 200 && got.err == nil:
						t.Errorf("%d bytes were handed out as whole", len(got.body))
					case got.status == 200 && len(got.body) > size-heldBack:
						t.Errorf("%d bytes were handed out", len(got.body))
					case got.status != 200 && (got.status != 502 || got.code() == ""):
						t.Errorf("%d %s", got.status, got.body)
					case size == 100 && got.status != 502:
						t.Errorf("a small blob failed without a word: %d %v", got.status, got.err)
					}
				}
				h.misbehave(nil)
				if got := get(server, "GET", "blobs/"+blobs[0].String()); digest.FromBytes(got.body) != blobs[0] {
					t.Errorf("later: %d %v", got.status, got.err)
				}
			})
		}
	}
}

func TestAManifestOfAWrongDigestIsRefused(t *testing.T) {
	for name, fault := range map[string]func(http.ResponseWriter, []byte){
		"empty": empty, "truncated": truncated,
		"wrong": func(w http.ResponseWriter, body []byte) {
			w.Write(bytes.Replace(body, []byte(`"size":100`), []byte(`"size":101`), 1))
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHub(t)
			manifest, _ := h.image("1", 100)
			h.misbehave(onGet("/manifests/", fault))
			server := cacheOf(t, h, t.TempDir())
			for _, reference := range []string{"1", manifest.String()} {
				if got := get(server, "GET", "manifests/"+reference); got.status != 502 || got.code() == "" {
					t.Errorf("%s: %d %s", reference, got.status, got.body)
				}
			}
			h.misbehave(nil)
			for _, reference := range []string{"1", manifest.String()} {
				if got := get(server, "GET", "manifests/"+reference); digest.FromBytes(got.body) != manifest {
					t.Errorf("%s later: %d %s", reference, got.status, got.body)
				}
			}
		})
	}
}

func TestASpoolThatCannotBeWrittenIsSaid(t *testing.T) {
	h := newHub(t)
	_, blobs := h.image("1", 1<<20)
	folder := t.TempDir()
	t.Setenv("TMPDIR", "/nowhere")
	server := cacheOf(t, h, folder)
	if got := get(server, "GET", "blobs/"+blobs[0].String()); got.status != 502 || !strings.Contains(string(got.body), "spool") {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestNoMoreIsTakenThanWasAnnounced(t *testing.T) {
	h := newHub(t)
	_, blobs := h.image("1", 1<<20)
	h.misbehave(onGet("/blobs/", func(w http.ResponseWriter, body []byte) {
		w.Header().Del("Content-Length")
		for range 20 {
			w.Write(body)
		}
	}))
	server, made := boundedCacheOf(t, h, t.TempDir(), usualBounds)
	got := get(server, "GET", "blobs/"+blobs[0].String())
	if got.err != nil || digest.FromBytes(got.body) != blobs[0] {
		t.Errorf("%d %v, %d bytes", got.status, got.err, len(got.body))
	}
	made.settle()
	if holds := made.storage.used(); holds > 1<<20+linksOfABlob {
		t.Errorf("%d bytes are kept", holds)
	}
}

func TestAManifestWithoutAnEndIsRefused(t *testing.T) {
	h := newHub(t)
	h.image("1", 100)
	h.misbehave(onGet("/manifests/", func(w http.ResponseWriter, body []byte) {
		w.Header().Del("Content-Length")
		for range largestText>>16 + 1 {
			w.Write(make([]byte, 1<<16))
		}
	}))
	if got := get(cacheOf(t, h, t.TempDir()), "GET", "manifests/1"); got.status != 502 {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestABlobOfNoBytesIsServed(t *testing.T) {
	h := newHub(t)
	nothing := h.add(nil)
	server := cacheOf(t, h, t.TempDir())
	for range 2 {
		if got := get(server, "GET", "blobs/"+nothing.String()); got.status != 200 || got.err != nil || len(got.body) > 0 {
			t.Errorf("%d %v %s", got.status, got.err, got.body)
		}
	}
}

func TestARefusalOfTheUpstreamIsPutIntoWords(t *testing.T) {
	for code, want := range map[int]int{429: 429, 401: 502, 403: 502, 500: 502, 503: 502, 404: 404} {
		t.Run(strconv.Itoa(code), func(t *testing.T) {
			h := newHub(t)
			manifest, blobs := h.image("1", 100)
			h.misbehave(status(code))
			server := cacheOf(t, h, t.TempDir())
			for _, path := range []string{"manifests/1", "manifests/" + manifest.String(), "blobs/" + blobs[0].String()} {
				got := get(server, "GET", path)
				if got.status != want || got.code() == "" || got.err != nil {
					t.Errorf("%s: %d %s %v", path, got.status, got.body, got.err)
				}
				if code == 429 && got.header.Get("Retry-After") != "77" {
					t.Errorf("%s: Retry-After was lost", path)
				}
				if head := get(server, "HEAD", path); head.status != want {
					t.Errorf("HEAD %s: %d", path, head.status)
				}
			}
		})
	}
}

func TestWhatIsCachedIsServedWhileTheUpstreamFails(t *testing.T) {
	faults := map[string]func(http.ResponseWriter, *http.Request, []byte) bool{
		"500": status(500), "429": status(429),
		"hangs": func(_ http.ResponseWriter, r *http.Request, _ []byte) bool {
			select {
			case <-r.Context().Done():
			case <-time.After(10 * time.Second):
			}
			return true
		},
	}
	for _, name := range []string{"500", "429", "hangs", "down"} {
		t.Run(name, func(t *testing.T) {
			h := newHub(t)
			manifest, blobs := h.image("1", 100_000)
			server := cacheOf(t, h, t.TempDir())
			paths := []string{"manifests/1", "manifests/" + manifest.String(), "blobs/" + blobs[0].String()}
			for _, path := range paths {
				get(server, "GET", path)
			}
			if h.misbehave(faults[name]); name == "down" {
				h.Close()
			}
			for _, path := range paths {
				for _, method := range []string{"GET", "HEAD", "GET"} {
					begun := time.Now()
					if got := get(server, method, path); got.status != 200 || got.err != nil {
						t.Errorf("%s %s: %d %s %v", method, path, got.status, got.body, got.err)
					}
					if took := time.Since(begun); took > 2*shortTimeout {
						t.Errorf("%s %s took %v", method, path, took)
					}
				}
			}
			if got := get(server, "GET", "manifests/other"); got.status < 429 {
				t.Errorf("what nobody could be asked for is not unknown: %d %s", got.status, got.body)
			}
		})
	}
}

func TestACacheStartsAndServesWithoutItsUpstream(t *testing.T) {
	h, folder := newHub(t), t.TempDir()
	manifest, _ := h.image("1", 100)
	t.Run("filled", func(t *testing.T) { get(cacheOf(t, h, folder), "GET", "manifests/1") })
	h.Close()
	if got := get(cacheOf(t, h, folder), "GET", "manifests/1"); digest.FromBytes(got.body) != manifest {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestARangeOfAColdBlobIsServedWhileItComesIn(t *testing.T) {
	h := newHub(t)
	_, blobs := h.image("1", 1<<20)
	h.misbehave(dripping(4, 20*time.Millisecond))
	body := h.content[blobs[0].String()]
	for asked, want := range map[string][]byte{
		"bytes=500000-": body[500000:], "bytes=10-19": body[10:20], "bytes=-5": body[1<<20-5:], "bytes=1-2,5-6": body, "bytes=x": body,
	} {
		t.Run(asked, func(t *testing.T) {
			server := cacheOf(t, h, t.TempDir())
			got := get(server, "GET", "blobs/"+blobs[0].String(), "Range", asked)
			status := http.StatusPartialContent
			if len(want) == len(body) {
				status = http.StatusOK
			}
			if got.status != status || !bytes.Equal(got.body, want) {
				t.Errorf("%d, %d bytes", got.status, len(got.body))
			}
		})
	}
	if got := get(cacheOf(t, h, t.TempDir()), "GET", "blobs/"+blobs[0].String(), "Range", "bytes=1048576-"); got.status != 416 {
		t.Errorf("behind the end: %d", got.status)
	}
}

func TestAHeadOfAColdBlobFetchesNothing(t *testing.T) {
	h, folder := newHub(t), t.TempDir()
	_, blobs := h.image("1", 1<<20)
	server := cacheOf(t, h, folder)
	got := get(server, "HEAD", "blobs/"+blobs[0].String())
	if got.status != 200 || got.header.Get("Content-Length") != strconv.Itoa(1<<20) ||
		got.header.Get("Docker-Content-Digest") != blobs[0].String() {
		t.Errorf("%d %v", got.status, got.header)
	}
	if h.count("GET") != 0 {
		t.Error("it was fetched")
	}
	if left, _ := os.ReadDir(folder); len(left) > 0 {
		t.Error("something was stored")
	}
	if got := get(server, "HEAD", "blobs/"+digest.FromString("no such").String()); got.status != 404 {
		t.Errorf("unknown: %d", got.status)
	}
}

func TestEqualQuestionsForAManifestCostOne(t *testing.T) {
	h := newHub(t)
	manifest, _ := h.image("1", 100)
	h.misbehave(func(http.ResponseWriter, *http.Request, []byte) bool {
		time.Sleep(100 * time.Millisecond)
		return false
	})
	server := cacheOf(t, h, t.TempDir())
	for _, got := range herd(8, func(int) reply { return get(server, "GET", "manifests/"+manifest.String()) }) {
		if digest.FromBytes(got.body) != manifest {
			t.Errorf("%d %s", got.status, got.body)
		}
	}
	if n := h.count("GET " + manifest.String()); n != 1 {
		t.Errorf("the upstream was asked %d times", n)
	}
}

func TestTwoCachesShareOneStorage(t *testing.T) {
	h, folder := newHub(t), t.TempDir()
	_, blobs := h.image("1", 1<<20, 1<<20)
	t.Run("first", func(t *testing.T) { get(cacheOf(t, h, folder), "GET", "blobs/"+blobs[0].String()) })
	second := cacheOf(t, h, folder)
	for _, blob := range blobs {
		if got := get(second, "GET", "blobs/"+blob.String()); digest.FromBytes(got.body) != blob {
			t.Errorf("%d %v", got.status, got.err)
		}
	}
	if n := h.count("GET " + blobs[0].String()); n != 1 {
		t.Errorf("the upstream was asked %d times", n)
	}
}
