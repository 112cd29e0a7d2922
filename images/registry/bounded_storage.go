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

// A boundedStorage is a cache's storage with a maximum size. It knows about how much is there, and writes no manifest that
// finds no room; blobs are not even sent to it then. Distribution's own memory of what is stored never forgets: here it is a
// few seconds, so that what was purged is asked of the upstream again.
type boundedStorage struct {
	storagedriver.StorageDriver
	limit int64

	mu       sync.Mutex
	listed   int64
	added    int64
	reserved int64
	seen     map[string]recentFile

	notKept atomic.Int64
	said    sometimes
}

// A recentFile is a file that was there a moment ago.
type recentFile struct {
	content []byte
	info    storagedriver.FileInfo
	until   time.Time
}

// opened is the storage of this process; it has one.
var opened atomic.Pointer[boundedStorage]

func newBoundedStorage(driver storagedriver.StorageDriver) *boundedStorage {
	return &boundedStorage{StorageDriver: driver, limit: usualBounds.keep, seen: map[string]recentFile{}}
}

// reserve keeps room for what is about to be stored, and is false where there is none; unreserve ends it either way.
func (s *boundedStorage) reserve(size int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listed+s.added+s.reserved+size > s.limit {
		return false
	}
	s.reserved += size
	return true
}

func (s *boundedStorage) unreserve(size int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reserved -= size
}

func (s *boundedStorage) used() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.listed + s.added
}

func (s *boundedStorage) stored(size int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.added += size
}

// countNotKept counts what is handed out and not kept.
func (s *boundedStorage) countNotKept() {
	s.notKept.Add(1)
	if s.said.now() {
		logrus.Warnf("what is asked for is handed out and not kept: %d bytes are stored of this upstream, and "+
			"berth:registry.upstreams[].maxSize is %d", s.used(), s.limit)
	}
}

// watch keeps count, for two processes share a storage, and others make room in it.
func (s *boundedStorage) watch(ctx context.Context) {
	for s.StorageDriver != nil {
		pause := listEvery
		if err := s.count(ctx); err != nil {
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
func (s *boundedStorage) count(ctx context.Context) error {
	s.mu.Lock()
	before := s.added
	s.mu.Unlock()
	var sum int64
	err := s.StorageDriver.Walk(ctx, "/", func(file storagedriver.FileInfo) error {
		if !file.IsDir() {
			sum += file.Size()
		}
		return nil
	})
	if none := (storagedriver.PathNotFoundError{}); err != nil && !errors.As(err, &none) {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// What came while it was listed may be counted twice until the next time.
	s.listed, s.added = sum, s.added-before
	return nil
}

// forget takes out a tag that the upstream has taken back, or an upstream that is down would bring it back.
func (s *boundedStorage) forget(ctx context.Context, repository, tag string) {
	if s.StorageDriver == nil {
		return
	}
	path := fmt.Sprintf("%s%s/_manifests/tags/%s", repositories, repository, tag)
	if err := s.StorageDriver.Delete(ctx, path); err != nil {
		logrus.Warnf("tag %s of %s was taken back by the upstream, and can't be taken out: %v", tag, repository, err)
		return
	}
	logrus.Infof("tag %s of %s was taken back by the upstream, and is taken out here", tag, repository)
}

// PutContent implements storagedriver.StorageDriver.
func (s *boundedStorage) PutContent(ctx context.Context, path string, content []byte) error {
	if q, ok := ctx.Value(questionKey{}).(*question); ok && q.keepNothing {
		if strings.HasPrefix(path, blobs) {
			s.countNotKept()
		}
		return nil
	}
	err := s.StorageDriver.PutContent(ctx, path, content)
	if err == nil && !strings.Contains(path, "/_uploads/") {
		s.stored(int64(len(content)))
	}
	return err
}

// Writer implements storagedriver.StorageDriver.
func (s *boundedStorage) Writer(ctx context.Context, path string, append bool) (storagedriver.FileWriter, error) {
	writer, err := s.StorageDriver.Writer(ctx, path, append)
	if err != nil {
		return nil, err
	}
	return &countedWriter{writer, s}, nil
}

type countedWriter struct {
	storagedriver.FileWriter
	storage *boundedStorage
}

// Commit implements storagedriver.FileWriter.
func (w *countedWriter) Commit(ctx context.Context) error {
	err := w.FileWriter.Commit(ctx)
	if err == nil {
		w.storage.stored(w.Size())
	}
	return err
}

// GetContent implements storagedriver.StorageDriver.
func (s *boundedStorage) GetContent(ctx context.Context, path string) ([]byte, error) {
	link := strings.HasSuffix(path, "/link") &&
		(strings.Contains(path, "/_layers/") || strings.Contains(path, "/_manifests/revisions/"))
	if !link {
		return s.StorageDriver.GetContent(ctx, path)
	}
	if recent, ok := s.recentlySeen(path); ok {
		return recent.content, nil
	}
	content, err := s.StorageDriver.GetContent(ctx, path)
	if err == nil {
		s.remember(path, recentFile{content: content})
	}
	return content, err
}

// Stat implements storagedriver.StorageDriver.
func (s *boundedStorage) Stat(ctx context.Context, path string) (storagedriver.FileInfo, error) {
	if !strings.HasPrefix(path, blobs) {
		return s.StorageDriver.Stat(ctx, path)
	}
	if recent, ok := s.recentlySeen(path); ok {
		return recent.info, nil
	}
	info, err := s.StorageDriver.Stat(ctx, path)
	// A blob is written to its place as a whole on the way to it; on a file system it can be seen empty for a moment.
	if err == nil && info.Size() > 0 {
		s.remember(path, recentFile{info: info})
	}
	return info, err
}

func (s *boundedStorage) recentlySeen(path string) (recentFile, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.seen[path]
	return found, ok && time.Now().Before(found.until)
}

func (s *boundedStorage) remember(path string, found recentFile) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.seen) >= mostSeen {
		clear(s.seen)
	}
	found.until = time.Now().Add(remembered)
	s.seen[path] = found
}
