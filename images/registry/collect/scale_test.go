package collect

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"berth.invalid/images/registry/collect/store"
	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"
)

// scaleVariable says how many manifests the measurement makes; each has a config, three layers, and a tag.
const scaleVariable = "BERTH_TEST_COLLECT_MANIFESTS"

const (
	perManifest   = 5
	perRepository = 20
	writers       = 64
)

// TestMeasureMarkAndSweep makes a registry of many images through S3, and prints what a mark and a sweep of all of it take.
func TestMeasureMarkAndSweep(t *testing.T) {
	count, _ := strconv.Atoi(os.Getenv(scaleVariable))
	if count == 0 {
		t.Skipf("%s names no number of manifests", scaleVariable)
	}
	b := newBucket(t)
	b.measure("generated", func() { b.generate(count) })
	b.measure("first mark", func() { b.run(options{}) })
	b.measure("mark with known manifests", func() { b.run(options{}) })
	b.measure("deleted all manifests", func() { b.unlinkAll() })
	b.measure("mark of all as not needed", func() { b.run(options{confirmed: []int{0}}) })
	var done result
	b.measure("sweep and verification", func() { done = b.run(options{}) })
	if done.Deleted != perManifest*count {
		t.Errorf("%+v", done)
	}
	b.config.PurgeAfter = 0
	b.measure("purge", func() { done = b.run(options{}) })
	if done.Purged != perManifest*count {
		t.Errorf("%+v", done)
	}
}

func (b *bucket) measure(what string, do func()) {
	b.Helper()
	began := time.Now()
	do()
	b.Logf("%-28s %8.1f s, peak memory %s", what, time.Since(began).Seconds(), peakMemory())
}

// peakMemory is the most that the process has had resident so far.
func peakMemory() string {
	runtime.GC()
	text, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			return strings.TrimSpace(value)
		}
	}
	return "not known"
}

func (b *bucket) generate(count int) {
	b.Helper()
	group, ctx := errgroup.WithContext(context.Background())
	group.SetLimit(writers)
	layout := b.collector().layout
	put := func(key string, body []byte) error {
		_, err := b.store.Put(ctx, key, body, store.Any)
		return err
	}
	for number := range count {
		group.Go(func() error {
			repository := fmt.Sprintf("team%d/app%d", number/perRepository%50, number/perRepository)
			links := layout.Repositories() + repository
			var layers []digest.Digest
			for layer := range perManifest - 1 {
				content := fmt.Appendf(nil, "layer %d of image %d", layer, number)
				of := digest.FromBytes(content)
				layers = append(layers, of)
				if err := put(layout.Blob(of), content); err != nil {
					return err
				}
				if err := put(links+"/_layers/sha256/"+of.Encoded()+"/link", []byte(of)); err != nil {
					return err
				}
			}
			content := imageManifest(layers[0], layers[1:]...)
			of := digest.FromBytes(content)
			tag := fmt.Sprintf("%s/_manifests/tags/v%d/", links, number)
			for key, body := range map[string][]byte{
				layout.Blob(of): content, layout.Revision(repository, of): []byte(of),
				tag + "current/link": []byte(of), tag + "index/sha256/" + of.Encoded() + "/link": []byte(of),
			} {
				if err := put(key, body); err != nil {
					return err
				}
			}
			return nil
		})
	}
	b.must(group.Wait())
}

func (b *bucket) unlinkAll() {
	b.Helper()
	c, err := newCollector(b.config, nil, io.Discard)
	b.must(err)
	var names []store.Name
	b.must(b.store.Keys(context.Background(), c.layout.Repositories(), func(key string) error {
		if strings.Contains(key, "/_manifests/") {
			names = append(names, store.Name{Key: key})
		}
		return nil
	}))
	for len(names) > 0 {
		batch := names[:min(len(names), store.Most)]
		b.must(b.store.Delete(context.Background(), batch))
		names = names[len(batch):]
	}
}
