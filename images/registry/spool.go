package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"
)

const (
	retryAfter = "10"
	// looksEvery is after how many bytes a blob that comes in looks at the file system again: others write there, too.
	looksEvery = 1 << 20
)

// A spool is the room for blobs in transit: so many bytes, as many as the upstream announced for each, and so many blobs.
type spool struct {
	bounds bounds
	places chan struct{}

	mu    sync.Mutex
	taken int64

	refused, abandoned atomic.Int64
	said               sometimes
}

func newSpool(b bounds) *spool {
	return &spool{bounds: b, places: make(chan struct{}, b.fetches)}
}

// enter takes one of the places for fetches, and waits for it a little: a pull asks for all of its layers at once.
func (s *spool) enter(ctx context.Context) error {
	timer := time.NewTimer(s.bounds.queue)
	defer timer.Stop()
	select {
	case s.places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return s.busy(fmt.Sprintf("it fetches %d blobs already (berth:registry.cache.fetches)", s.bounds.fetches))
	}
}

func (s *spool) exit() { <-s.places }

// take reserves room for a blob; release gives it back.
func (s *spool) take(size int64) error {
	if size > s.bounds.spool {
		s.refused.Add(1)
		return refusal(http.StatusInsufficientStorage, "UNAVAILABLE", fmt.Sprintf(
			"this cache can't fetch a blob of %d bytes: it is larger than its spool (berth:registry.cache.spool: %d bytes)",
			size, s.bounds.spool))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken+size > s.bounds.spool {
		return s.busy(fmt.Sprintf("%d bytes of its spool's %d are taken (berth:registry.cache.spool)", s.taken, s.bounds.spool))
	}
	if err := s.spare(size); err != nil {
		return err
	}
	s.taken += size
	return nil
}

func (s *spool) release(size int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken -= size
}

// spare is an error when so many bytes more would leave the file system less than what it keeps free.
func (s *spool) spare(size int64) error {
	folder := s.bounds.folder
	if folder == "" {
		folder = os.TempDir()
	}
	var system syscall.Statfs_t
	// A folder that is not there is said by whoever makes a file in it.
	if err := syscall.Statfs(folder, &system); err != nil {
		return nil
	}
	if free := int64(system.Bavail) * int64(system.Bsize); free-size < s.bounds.reserve {
		return s.busy(fmt.Sprintf("the disk of its spool has %d bytes left, and %d of them stay free (berth:registry.cache.reserve)",
			free, s.bounds.reserve))
	}
	return nil
}

// busy is the answer to whom there is no room for now.
func (s *spool) busy(why string) *answer {
	s.refused.Add(1)
	if s.said.now() {
		logrus.Warnf("fetches are refused: %s", why)
	}
	made := refusal(http.StatusServiceUnavailable, "UNAVAILABLE", "this cache can't fetch more at the moment: "+why+"; try again")
	made.header.Set("Retry-After", retryAfter)
	return made
}

// sometimes keeps what happens often from filling the log.
type sometimes struct{ last atomic.Int64 }

func (s *sometimes) now() bool {
	last, now := s.last.Load(), time.Now().UnixNano()
	return (last == 0 || now-last > int64(10*time.Second)) && s.last.CompareAndSwap(last, now)
}
