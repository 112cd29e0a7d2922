package main

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
)

// leaving asks for a blob and goes when it begins to come.
func leaving(t *testing.T, url string) {
	t.Helper()
	ctx, leave := context.WithCancel(context.Background())
	defer leave()
	request, _ := http.NewRequestWithContext(ctx, "GET", url, nil)
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
}

func blobOf(blob digest.Digest) string { return "blobs/" + blob.String() }

func with503(t *testing.T, got reply, setting string) {
	t.Helper()
	if got.status != 503 || got.code() != "UNAVAILABLE" || got.header.Get("Retry-After") == "" ||
		!strings.Contains(string(got.body), setting) {
		t.Errorf("%d %s %v", got.status, got.body, got.header)
	}
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for range 200 {
		if is() {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("never: " + what)
}

func emptied(t *testing.T, made *cache) {
	t.Helper()
	eventually(t, "the spool is empty", func() bool {
		counts := made.counts().(map[string]int64)
		return counts["spool_bytes"] == 0 && counts["fetches"] == 0
	})
}

func limited(change func(*bounds)) bounds {
	limits := usualBounds
	limits.reserve, limits.queue = 0, 100*time.Millisecond
	change(&limits)
	return limits
}

func TestAFetchThatNobodyReadsEndsAfterAWhile(t *testing.T) {
	h := newHub(t)
	_, blobs := h.image("1", 1<<20)
	ended := make(chan struct{})
	h.misbehave(onGet("/blobs/", func(w http.ResponseWriter, body []byte) {
		defer close(ended)
		for i := range body[:600_000] {
			if i%10_000 == 0 {
				if _, err := w.Write(body[i : i+10_000]); err != nil {
					return
				}
				http.NewResponseController(w).Flush()
				time.Sleep(50 * time.Millisecond)
			}
		}
	}))
	server, made := boundedCacheOf(t, h, t.TempDir(), limited(func(b *bounds) { b.abandon = 200 * time.Millisecond }))
	begun := time.Now()
	leaving(t, server.URL+"/v2/library/app/"+blobOf(blobs[0]))
	<-ended
	if took := time.Since(begun); took > 1500*time.Millisecond {
		t.Errorf("the upstream went on sending for %v", took)
	}
	emptied(t, made)
	if made.spool.abandoned.Load() != 1 {
		t.Errorf("%v", made.counts())
	}
	h.misbehave(nil)
	if got := get(server, "GET", blobOf(blobs[0])); digest.FromBytes(got.body) != blobs[0] {
		t.Errorf("later: %d %v", got.status, got.err)
	}
}

func TestWhoComesBackInTimeFindsTheFetchGoingOn(t *testing.T) {
	h := newHub(t)
	_, blobs := h.image("1", 1<<20)
	h.misbehave(dripping(20, 50*time.Millisecond))
	server, _ := boundedCacheOf(t, h, t.TempDir(), limited(func(b *bounds) { b.abandon = 500 * time.Millisecond }))
	leaving(t, server.URL+"/v2/library/app/"+blobOf(blobs[0]))
	time.Sleep(200 * time.Millisecond)
	if got := get(server, "GET", blobOf(blobs[0])); digest.FromBytes(got.body) != blobs[0] {
		t.Errorf("%d %v", got.status, got.err)
	}
	if n := h.count("GET " + blobs[0].String()); n != 1 {
		t.Errorf("the upstream was asked %d times", n)
	}
}

func TestAFullSpoolRefusesNewFetchesAndNothingElse(t *testing.T) {
	h := newHub(t)
	manifest, blobs := h.image("1", 1000, 1<<20, 1<<20)
	server, made := boundedCacheOf(t, h, t.TempDir(), limited(func(b *bounds) { b.spool = 3 << 19 }))
	get(server, "GET", blobOf(blobs[0]))
	get(server, "GET", "manifests/1")
	h.misbehave(dripping(10, 50*time.Millisecond))
	first := make(chan reply)
	go func() { first <- get(server, "GET", blobOf(blobs[1])) }()
	eventually(t, "the first is under way", func() bool { return h.count("GET "+blobs[1].String()) == 1 })
	with503(t, get(server, "GET", blobOf(blobs[2])), "berth:registry.cache.spool")
	for _, path := range []string{blobOf(blobs[0]), "manifests/1", "manifests/" + manifest.String()} {
		if got := get(server, "GET", path); got.status != 200 {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
	if got := <-first; digest.FromBytes(got.body) != blobs[1] {
		t.Errorf("the first: %d %v", got.status, got.err)
	}
	if n := h.count("GET " + blobs[2].String()); n != 0 {
		t.Error("the upstream was asked for what there is no room for")
	}
	made.settle()
	h.misbehave(nil)
	if got := get(server, "GET", blobOf(blobs[2])); digest.FromBytes(got.body) != blobs[2] {
		t.Errorf("later: %d %s", got.status, got.body)
	}
	emptied(t, made)
}

func TestABlobLargerThanTheSpoolIsRefusedForGood(t *testing.T) {
	h := newHub(t)
	_, blobs := h.image("1", 1<<20)
	server, _ := boundedCacheOf(t, h, t.TempDir(), limited(func(b *bounds) { b.spool = 1000 }))
	got := get(server, "GET", blobOf(blobs[0]))
	if got.status != 507 || got.code() == "" || got.header.Get("Retry-After") != "" {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestADiskThatIsAlmostFullRefusesNewFetches(t *testing.T) {
	h := newHub(t)
	_, blobs := h.image("1", 1<<20)
	server, _ := boundedCacheOf(t, h, t.TempDir(), limited(func(b *bounds) { b.reserve = 1 << 60 }))
	with503(t, get(server, "GET", blobOf(blobs[0])), "berth:registry.cache.reserve")
}

func TestMoreFetchesThanAllowedWaitAndAreThenRefused(t *testing.T) {
	h := newHub(t)
	_, blobs := h.image("1", 1<<20, 1<<20)
	h.misbehave(dripping(10, 50*time.Millisecond))
	for queue, want := range map[time.Duration]int{100 * time.Millisecond: 503, 10 * time.Second: 200} {
		t.Run(queue.String(), func(t *testing.T) {
			server, _ := boundedCacheOf(t, h, t.TempDir(), limited(func(b *bounds) { b.fetches, b.queue = 1, queue }))
			replies := herd(2, func(i int) reply { return get(server, "GET", blobOf(blobs[i])) })
			for _, got := range replies {
				if got.status == 503 && want == 503 {
					with503(t, got, "berth:registry.cache.fetches")
				} else if got.status != 200 {
					t.Errorf("%d %s", got.status, got.body)
				}
			}
			if slowest := max(replies[0].status, replies[1].status); slowest != want {
				t.Errorf("%d", slowest)
			}
		})
	}
}

func TestALyingLengthTakesNoMoreThanItSays(t *testing.T) {
	h := newHub(t)
	_, blobs := h.image("1", 1<<20)
	h.misbehave(func(w http.ResponseWriter, r *http.Request, body []byte) bool {
		if strings.Contains(r.URL.Path, "/blobs/") && r.Method == "HEAD" {
			w.Header().Set("Content-Length", "1000")
		}
		return false
	})
	server, made := boundedCacheOf(t, h, t.TempDir(), limited(func(b *bounds) { b.spool = 2000 }))
	if got := get(server, "GET", blobOf(blobs[0])); got.status != 502 {
		t.Errorf("%d %s", got.status, got.body)
	}
	made.settle()
	if holds := made.storage.used(); holds > 1000 {
		t.Errorf("%d bytes are kept", holds)
	}
}

func TestAFullStorageIsPassedByAndEverythingIsServed(t *testing.T) {
	remembered = 0
	t.Cleanup(func() { remembered = 5 * time.Second })
	// As the S3 client leaves it.
	http.DefaultClient.Transport = &http.Transport{}
	t.Cleanup(func() { http.DefaultClient.Transport = nil })
	h, folder := newHub(t), t.TempDir()
	manifest, blobs := h.image("1", 1<<20, 1<<20, 1<<20)
	server, made := boundedCacheOf(t, h, folder, limited(func(b *bounds) { b.keep = 5 << 19 }))
	all := func() {
		t.Helper()
		for _, blob := range blobs {
			if got := get(server, "GET", blobOf(blob)); digest.FromBytes(got.body) != blob {
				t.Errorf("%d %s", got.status, got.body)
			}
			made.settle()
		}
		for _, path := range []string{"manifests/1", "manifests/" + manifest.String()} {
			if got := get(server, "GET", path); digest.FromBytes(got.body) != manifest {
				t.Errorf("%s: %d %s", path, got.status, got.body)
			}
		}
		made.settle()
	}
	all()
	all()
	for i, want := range []int{1, 1, 2} {
		if n := h.count("GET " + blobs[i].String()); n != want {
			t.Errorf("the upstream was asked for blob %d %d times", i, n)
		}
	}
	if size := sizeOf(t, folder); size > 5<<19 || made.storage.notKept.Load() < 2 {
		t.Errorf("%d bytes are kept, %v", size, made.counts())
	}
	nothing := h.add(nil)
	if got := get(server, "GET", blobOf(nothing)); got.status != 200 || len(got.body) > 0 {
		t.Errorf("a blob of no bytes: %d %s", got.status, got.body)
	}
	// What somebody takes out makes room, as soon as it is seen.
	os.RemoveAll(filepath.Join(folder, "docker/registry/v2/blobs/sha256", blobs[0].Encoded()[:2], blobs[0].Encoded()))
	if err := made.storage.count(context.Background()); err != nil {
		t.Fatal(err)
	}
	get(server, "GET", blobOf(blobs[2]))
	made.settle()
	get(server, "GET", blobOf(blobs[2]))
	if n := h.count("GET " + blobs[2].String()); n != 3 {
		t.Errorf("the upstream was asked for blob 2 %d times", n)
	}
}

func sizeOf(t *testing.T, folder string) (sum int64) {
	t.Helper()
	filepath.Walk(folder, func(_ string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			sum += info.Size()
		}
		return nil
	})
	return sum
}

func TestWhatIsStoredAtTheStartCounts(t *testing.T) {
	h, folder := newHub(t), t.TempDir()
	_, blobs := h.image("1", 1<<20, 1<<20)
	t.Run("filled", func(t *testing.T) { get(cacheOf(t, h, folder), "GET", blobOf(blobs[0])) })
	server, made := boundedCacheOf(t, h, folder, limited(func(b *bounds) { b.keep = 3 << 19 }))
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go made.storage.watch(ctx)
	eventually(t, "it is counted", func() bool { return made.storage.used() > 1<<20 })
	if got := get(server, "GET", blobOf(blobs[1])); digest.FromBytes(got.body) != blobs[1] {
		t.Errorf("%d %s", got.status, got.body)
	}
	made.settle()
	if size := sizeOf(t, folder); size > 3<<19 {
		t.Errorf("%d bytes are kept", size)
	}
}

func TestAFullStorageFailsAsTheUpstreamDoes(t *testing.T) {
	for code, want := range map[int]int{404: 404, 410: 404, 429: 429, 500: 502, 403: 502} {
		h := newHub(t)
		_, blobs := h.image("1", 1<<20)
		h.misbehave(status(code))
		server, _ := boundedCacheOf(t, h, t.TempDir(), limited(func(b *bounds) { b.keep = 10 }))
		if got := get(server, "GET", blobOf(blobs[0])); got.status != want || got.code() == "" {
			t.Errorf("%d: %d %s", code, got.status, got.body)
		}
		if got := get(server, "GET", "../Odd/../blobs/"+blobs[0].String()); got.status < 400 {
			t.Errorf("an odd name: %d", got.status)
		}
	}
}

func TestWhatTheUpstreamHasTakenBackIsNotServedByItsTag(t *testing.T) {
	for code, want := range map[int]int{404: 404, 410: 404, 451: 404, 401: 502, 403: 502} {
		t.Run(strconv.Itoa(code), func(t *testing.T) {
			h := newHub(t)
			manifest, _ := h.image("1", 100)
			server := cacheOf(t, h, t.TempDir())
			get(server, "GET", "manifests/1")
			get(server, "GET", "manifests/"+manifest.String())
			h.misbehave(status(code))
			for _, method := range []string{"HEAD", "GET"} {
				if got := get(server, method, "manifests/1"); got.status != want || (method == "GET" && got.code() == "") {
					t.Errorf("%s: %d %s", method, got.status, got.body)
				}
			}
			if got := get(server, "GET", "tags/list"); got.status != want {
				t.Errorf("tags: %d %s", got.status, got.body)
			}
			if got := get(server, "GET", "manifests/"+manifest.String()); got.status != 200 {
				t.Errorf("by digest: %d %s", got.status, got.body)
			}
			// It does not come back while the upstream is down; what was only refused does.
			h.misbehave(status(500))
			if got := get(server, "GET", "manifests/1"); (got.status == 200) != (want == 502) {
				t.Errorf("while the upstream is down: %d %s", got.status, got.body)
			}
			h.misbehave(nil)
			if got := get(server, "GET", "manifests/1"); digest.FromBytes(got.body) != manifest {
				t.Errorf("given again: %d %s", got.status, got.body)
			}
		})
	}
}

func TestWhatWasPurgedIsAskedOfTheUpstreamAgain(t *testing.T) {
	remembered = 300 * time.Millisecond
	t.Cleanup(func() { remembered = 5 * time.Second })
	h, folder := newHub(t), t.TempDir()
	manifest, blobs := h.image("1", 1000)
	server, made := boundedCacheOf(t, h, folder, usualBounds)
	paths := []string{"manifests/1", "manifests/" + manifest.String(), blobOf(blobs[0])}
	for range 2 {
		for _, path := range paths {
			get(server, "GET", path)
		}
	}
	made.settle()
	repository := filepath.Join(folder, "docker/registry/v2/repositories/library/app")
	for _, part := range []string{"_manifests", "_layers"} {
		if err := os.RemoveAll(filepath.Join(repository, part)); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(remembered)
	h.misbehave(status(404))
	for _, path := range paths {
		if got := get(server, "GET", path); got.status != 404 {
			t.Errorf("%s: %d", path, got.status)
		}
	}
	h.misbehave(nil)
	for _, path := range paths {
		if got := get(server, "GET", path); got.status != 200 {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
	if n := h.count("GET " + blobs[0].String()); n != 2 {
		t.Errorf("the upstream was asked for the blob %d times", n)
	}
}

func TestManifestsInHandAreBoundedAndWaitingCountsAsNone(t *testing.T) {
	h := newHub(t)
	first, _ := h.image("1", 100)
	second, _ := h.image("2", 200)
	server, made := boundedCacheOf(t, h, t.TempDir(), limited(func(b *bounds) { b.texts = 1 }))
	get(server, "GET", "manifests/"+second.String())
	silent := make(chan struct{})
	h.misbehave(func(_ http.ResponseWriter, r *http.Request, _ []byte) bool {
		if strings.Contains(r.URL.Path, first.String()) {
			<-silent
		}
		return false
	})
	slow := make(chan reply)
	go func() { slow <- get(server, "GET", "manifests/"+first.String()) }()
	eventually(t, "it is asked", func() bool { return h.count("GET "+first.String()) == 1 })
	if got := get(server, "GET", "manifests/"+second.String()); got.status != 200 {
		t.Errorf("beside one that waits: %d %s", got.status, got.body)
	}
	close(silent)
	if got := <-slow; digest.FromBytes(got.body) != first {
		t.Errorf("%d %s", got.status, got.body)
	}
	made.turns <- struct{}{}
	with503(t, get(server, "GET", "manifests/"+second.String()), "manifests in hand")
	with503(t, get(server, "GET", "tags/list"), "manifests in hand")
	<-made.turns
	if got := get(server, "GET", "manifests/"+second.String()); got.status != 200 {
		t.Errorf("later: %d %s", got.status, got.body)
	}
}

func TestBoundsComeFromTheEnvironment(t *testing.T) {
	given := map[string]string{
		"BERTH_SPOOL_SIZE": "1", "BERTH_SPOOL_RESERVE": "0", "BERTH_MAX_SIZE": "3", "BERTH_FETCHES": "4", "BERTH_ABANDON_AFTER": "5",
	}
	found, err := boundsOf(func(name string) string { return given[name] })
	if want := (bounds{spool: 1, keep: 3, fetches: 4, texts: 16, abandon: 5 * time.Second, queue: 10 * time.Second}); err != nil || found != want {
		t.Errorf("%+v %v", found, err)
	}
	if found, err := boundsOf(func(string) string { return "" }); err != nil || found != usualBounds {
		t.Errorf("%+v %v", found, err)
	}
	for name, value := range map[string]string{"BERTH_FETCHES": "0", "BERTH_SPOOL_SIZE": "10GiB", "BERTH_MAX_SIZE": "-1", "BERTH_SPOOL": "/nowhere"} {
		_, err := boundsOf(func(asked string) string {
			if asked == name {
				return value
			}
			return ""
		})
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s=%s: %v", name, value, err)
		}
	}
}
