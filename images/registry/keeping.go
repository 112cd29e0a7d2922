package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/sirupsen/logrus"
)

// How often a cache looks how much is stored, and how long it remembers of a file that it is there. Variables for the tests.
var (
	listEvery  = 5 * time.Minute
	listAgain  = 30 * time.Second
	remembered = 5 * time.Second
)

const (
	repositories = "/docker/registry/v2/repositories/"
	blobs        = "/docker/registry/v2/blobs/"
	// linksOfABlob is more than what is stored beside a blob.
	linksOfABlob = 4 << 10
	mostSeen     = 20_000
)

// A keeping is a cache's storage. It knows about how much is there, and writes no manifest that finds no room; blobs are not
// even sent to it then. Distribution's own memory of what is stored never forgets: here it is a few seconds, so that what
// was purged is asked of the upstream again.
type keeping struct {
	storagedriver.StorageDriver
	limit int64

	mu       sync.Mutex
	listed   int64
	added    int64
	promised int64
	seen     map[string]sight

	passed atomic.Int64
	said   sometimes
}

// A sight is a file that was there a moment ago.
type sight struct {
	content []byte
	info    storagedriver.FileInfo
	until   time.Time
}

// opened is the storage of this process; it has one.
var opened atomic.Pointer[keeping]

func newKeeping(driver storagedriver.StorageDriver) *keeping {
	return &keeping{StorageDriver: driver, limit: usualBounds.keep, seen: map[string]sight{}}
}

// promise keeps room for what is about to be stored, and is false where there is none; fulfilled ends it either way.
func (k *keeping) promise(size int64) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.listed+k.added+k.promised+size > k.limit {
		return false
	}
	k.promised += size
	return true
}

func (k *keeping) fulfilled(size int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.promised -= size
}

func (k *keeping) holds() int64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.listed + k.added
}

func (k *keeping) stored(size int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.added += size
}

// passBy counts what is handed out and not kept.
func (k *keeping) passBy() {
	k.passed.Add(1)
	if k.said.now() {
		logrus.Warnf("what is asked for is handed out and not kept: %d bytes are stored of this upstream, and "+
			"berth:registry.upstreams[].maxSize is %d", k.holds(), k.limit)
	}
}

// watch keeps count, for two processes share a storage, and others make room in it.
func (k *keeping) watch(ctx context.Context) {
	for k.StorageDriver != nil {
		pause := listEvery
		if err := k.count(ctx); err != nil {
			logrus.Warnf("how much is stored of this upstream is not known for now: %v", err)
			pause = listAgain
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// count lists everything, a thousand files with their sizes in a request.
func (k *keeping) count(ctx context.Context) error {
	k.mu.Lock()
	before := k.added
	k.mu.Unlock()
	var sum int64
	err := k.StorageDriver.Walk(ctx, "/", func(file storagedriver.FileInfo) error {
		if !file.IsDir() {
			sum += file.Size()
		}
		return nil
	})
	if none := (storagedriver.PathNotFoundError{}); err != nil && !errors.As(err, &none) {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	// What came while it was listed may be counted twice until the next time.
	k.listed, k.added = sum, k.added-before
	return nil
}

// forget takes out a tag that the upstream has taken back, or an upstream that is down would bring it back.
func (k *keeping) forget(ctx context.Context, repository, tag string) {
	if k.StorageDriver == nil {
		return
	}
	path := fmt.Sprintf("%s%s/_manifests/tags/%s", repositories, repository, tag)
	if err := k.StorageDriver.Delete(ctx, path); err != nil {
		logrus.Warnf("tag %s of %s was taken back by the upstream, and can't be taken out: %v", tag, repository, err)
		return
	}
	logrus.Infof("tag %s of %s was taken back by the upstream, and is taken out here", tag, repository)
}

// PutContent implements storagedriver.StorageDriver.
func (k *keeping) PutContent(ctx context.Context, path string, content []byte) error {
	if q, ok := ctx.Value(questionKey{}).(*question); ok && q.keepNothing {
		if strings.HasPrefix(path, blobs) {
			k.passBy()
		}
		return nil
	}
	err := k.StorageDriver.PutContent(ctx, path, content)
	if err == nil && !strings.Contains(path, "/_uploads/") {
		k.stored(int64(len(content)))
	}
	return err
}

// Writer implements storagedriver.StorageDriver.
func (k *keeping) Writer(ctx context.Context, path string, append bool) (storagedriver.FileWriter, error) {
	writer, err := k.StorageDriver.Writer(ctx, path, append)
	if err != nil {
		return nil, err
	}
	return &countedWriter{writer, k}, nil
}

type countedWriter struct {
	storagedriver.FileWriter
	keeping *keeping
}

// Commit implements storagedriver.FileWriter.
func (w *countedWriter) Commit(ctx context.Context) error {
	err := w.FileWriter.Commit(ctx)
	if err == nil {
		w.keeping.stored(w.Size())
	}
	return err
}

// GetContent implements storagedriver.StorageDriver.
func (k *keeping) GetContent(ctx context.Context, path string) ([]byte, error) {
	link := strings.HasSuffix(path, "/link") &&
		(strings.Contains(path, "/_layers/") || strings.Contains(path, "/_manifests/revisions/"))
	if !link {
		return k.StorageDriver.GetContent(ctx, path)
	}
	if sight, ok := k.saw(path); ok {
		return sight.content, nil
	}
	content, err := k.StorageDriver.GetContent(ctx, path)
	if err == nil {
		k.sees(path, sight{content: content})
	}
	return content, err
}

// Stat implements storagedriver.StorageDriver.
func (k *keeping) Stat(ctx context.Context, path string) (storagedriver.FileInfo, error) {
	if !strings.HasPrefix(path, blobs) {
		return k.StorageDriver.Stat(ctx, path)
	}
	if sight, ok := k.saw(path); ok {
		return sight.info, nil
	}
	info, err := k.StorageDriver.Stat(ctx, path)
	// A blob is written to its place as a whole on the way to it; on a file system it can be seen empty for a moment.
	if err == nil && info.Size() > 0 {
		k.sees(path, sight{info: info})
	}
	return info, err
}

func (k *keeping) saw(path string) (sight, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	found, ok := k.seen[path]
	return found, ok && time.Now().Before(found.until)
}

func (k *keeping) sees(path string, found sight) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.seen) >= mostSeen {
		clear(k.seen)
	}
	found.until = time.Now().Add(remembered)
	k.seen[path] = found
}
