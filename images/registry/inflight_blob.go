package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/sirupsen/logrus"
)

// heldBack are the last bytes of a blob, which no client gets before the digest of all of it is known to be right.
const heldBack = 64 << 10

const errorKept = 64 << 10

var (
	errAbandoned = errors.New("nobody reads it any more")
	errNoLength  = errors.New("no length was announced")
	errNoRoom    = errors.New("there is no room to keep it")
)

// An inflightBlob is one blob in transfer from the upstream. What the upstream sends is written to an unlinked file, and any
// number of readers follow it: the clients, and distribution's proxy, which stores it at its own speed. It is the
// http.ResponseWriter of the one request that went through; what the proxy writes there is what it has read here, so only its
// errors count.
type inflightBlob struct {
	cache    *cache
	digest   digest.Digest
	question *question
	inner    answer
	cancel   context.CancelCauseFunc
	// storing: distribution stores the blob; reservedInStorage bytes of its storage are set aside for it.
	storing           bool
	reservedInStorage int64

	mu       sync.Mutex
	changed  chan struct{}
	users    int
	joined   int
	reserved int64
	ready    bool
	file     *os.File
	filling  chan struct{}
	size     int64
	kind     string
	written  int64
	verifier digest.Verifier
	whole    bool
	failure  error
}

// newInflightBlob has two users: the client that asked, and the request that fills it.
func newInflightBlob(c *cache, dgst digest.Digest, cancel context.CancelCauseFunc) *inflightBlob {
	f := &inflightBlob{
		cache: c, digest: dgst, cancel: cancel, inner: answer{header: http.Header{}},
		changed: make(chan struct{}), users: 2, size: -1, verifier: dgst.Verifier(),
	}
	f.question = &question{timeout: timeout, blob: f}
	return f
}

// join is false when the transfer has failed, or everybody has left it.
func (f *inflightBlob) join() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failure != nil || f.users == 0 {
		return false
	}
	f.users++
	f.joined++
	return true
}

// leave is called by each user once. The one who is left alone is the one that fetches: for whom, if nobody comes back?
func (f *inflightBlob) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.users--
	switch {
	case f.users == 0:
		if f.file != nil {
			f.file.Close()
		}
		f.cache.spool.release(f.reserved)
		f.reserved = 0
	case f.users == 1 && !f.whole && f.failure == nil:
		joined := f.joined
		time.AfterFunc(f.cache.spool.bounds.abandon, func() { f.abandon(joined) })
	}
}

// abandon ends a transfer that nobody has joined since, unless all of it has come: then it is stored.
func (f *inflightBlob) abandon(joined int) {
	f.mu.Lock()
	given := f.joined == joined && !f.whole && f.failure == nil
	if given {
		f.failure = errAbandoned
		f.notify()
	}
	f.mu.Unlock()
	if given {
		f.cache.spool.abandoned.Add(1)
		logrus.Infof("blob %s from upstream %s: %v", f.digest, f.cache.upstream, errAbandoned)
		f.cancel(errAbandoned)
	}
}

// Header implements http.ResponseWriter.
func (f *inflightBlob) Header() http.Header { return f.inner.header }

// WriteHeader implements http.ResponseWriter.
func (f *inflightBlob) WriteHeader(status int) { f.inner.WriteHeader(status) }

// Write implements http.ResponseWriter.
func (f *inflightBlob) Write(p []byte) (int, error) {
	if f.inner.status >= 400 {
		if f.inner.body.Len() < errorKept {
			f.inner.body.Write(p)
		}
	} else if f.file == nil {
		return 0, f.fail(errElsewhere)
	}
	return len(p), nil
}

// receive takes the upstream's answer, and gives the proxy one that reads along.
func (f *inflightBlob) receive(response *http.Response) error {
	size := response.ContentLength
	if announced, err := strconv.ParseInt(f.inner.header.Get("Content-Length"), 10, 64); err == nil {
		size = announced
	}
	err := f.announce(size)
	if err == nil {
		err = f.open(size, response.Header.Get("Content-Type"))
	}
	if err != nil {
		response.Body.Close()
		return f.fail(err)
	}
	f.filling = make(chan struct{})
	go func(body io.ReadCloser) {
		defer close(f.filling)
		defer body.Close()
		// No more than was announced, whatever there may be: that is what was reserved.
		_, err := io.Copy(&spoolWriter{inflightBlob: f}, io.LimitReader(body, f.size))
		switch {
		case err == nil && f.size == 0:
			err = f.grown(0)
		case err == nil:
			err = errors.New("its length is not the announced one")
		}
		f.fail(err)
	}(response.Body)
	response.Body = &tailReader{blob: f}
	return nil
}

// announce makes room for a blob of so many bytes; it is asked before the upstream is asked for them.
func (f *inflightBlob) announce(size int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ready {
		return nil
	}
	if size < 0 {
		return errNoLength
	}
	if f.storing && !f.cache.storage.reserve(size) {
		f.storing = false
		return errNoRoom
	}
	if f.storing {
		f.reservedInStorage = size
	}
	if err := f.cache.spool.take(size); err != nil {
		f.failure = err
		f.notify()
		return err
	}
	f.reserved, f.ready = size, true
	return nil
}

// A spoolWriter is where the upstream's bytes go.
type spoolWriter struct {
	*inflightBlob
	looked int64
}

func (f *spoolWriter) Write(p []byte) (int, error) {
	if f.looked -= int64(len(p)); f.looked < 0 {
		f.looked = looksEvery
		if err := f.cache.spool.spare(0); err != nil {
			return 0, err
		}
	}
	if _, err := f.file.Write(p); err != nil {
		return 0, fmt.Errorf("the spool: %w", err)
	}
	f.verifier.Write(p)
	return len(p), f.grown(int64(len(p)))
}

// A tailReader reads all that has come, checked or not: the proxy checks for itself before it keeps anything.
type tailReader struct {
	blob   *inflightBlob
	offset int64
}

func (r *tailReader) Read(p []byte) (int, error) {
	come, err := r.blob.wait(context.Background(), r.offset, func() int64 { return r.blob.written })
	if err != nil {
		return 0, err
	}
	n, err := r.blob.file.ReadAt(p[:min(int64(len(p)), come-r.offset)], r.offset)
	r.offset += int64(n)
	return n, err
}

// Close leaves the transfer to its other readers.
func (r *tailReader) Close() error { return nil }

// open begins the file; its size is the one that the upstream announced.
func (f *inflightBlob) open(size int64, kind string) error {
	file, err := os.CreateTemp(f.cache.spool.bounds.folder, "blob-")
	if err != nil {
		return fmt.Errorf("the spool: %w", err)
	}
	os.Remove(file.Name())
	f.mu.Lock()
	defer f.mu.Unlock()
	if announced := f.inner.header.Get("Content-Type"); announced != "" {
		kind = announced
	}
	f.file, f.size, f.kind = file, size, kind
	return nil
}

// grown lets the clients have what has come; once it is all there, only if the digest is right.
func (f *inflightBlob) grown(by int64) error {
	f.mu.Lock()
	f.written += by
	complete := f.written == f.size
	f.whole = complete && f.verifier.Verified()
	f.notify()
	f.mu.Unlock()
	if complete && !f.whole {
		return errors.New("its digest is wrong")
	}
	return nil
}

// notify wakes whoever waits; the lock is held.
func (f *inflightBlob) notify() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// fail ends the transfer: clients that have got nothing yet get the failure as an answer, the others are cut.
func (f *inflightBlob) fail(failure error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.whole || f.failure != nil {
		return failure
	}
	// What the upstream refused, distribution has logged.
	if _, refused := failure.(*answer); !refused && failure != errElsewhere {
		logrus.Errorf("blob %s from upstream %s: %v", f.digest, f.cache.upstream, failure)
	}
	f.failure = failure
	f.notify()
	return failure
}

// end is called when distribution is done with the request; the upstream may have more to send.
func (f *inflightBlob) end() {
	switch {
	case f.filling != nil:
		<-f.filling
	case f.inner.status >= 400:
		f.fail(f.cache.result(f.question, &f.inner))
	default:
		// A blob of no bytes: nothing was read, so nothing was checked.
		if status, _, _ := f.question.learnt(); status == 0 {
			f.fail(errElsewhere)
		} else if err := f.open(0, "application/octet-stream"); err != nil {
			f.fail(err)
		} else if err := f.grown(0); err != nil || !f.whole {
			f.fail(errors.New("it is empty"))
		}
	}
}

// await is over when the client can get the first byte that it wants, or an answer without a blob, which is the error.
func (f *inflightBlob) await(r *http.Request) (offset, length int64, err error) {
	for {
		f.mu.Lock()
		size, free, failure, changed := f.size, f.free(), f.failure, f.changed
		f.mu.Unlock()
		if failure != nil {
			return 0, 0, f.asAnswer(failure)
		}
		if size >= 0 && r.Method == http.MethodHead {
			return 0, size, nil
		}
		if size >= 0 {
			offset, length, err = part(r, strconv.Quote(f.digest.String()), size)
			if err != nil {
				unsatisfied := refusal(http.StatusRequestedRangeNotSatisfiable, "SIZE_INVALID", "the blob is not that long")
				unsatisfied.header.Set("Content-Range", fmt.Sprintf("bytes */%d", size))
				return 0, 0, unsatisfied
			}
			if free > offset || free == size {
				return offset, length, nil
			}
		}
		select {
		case <-changed:
		case <-r.Context().Done():
			return 0, 0, r.Context().Err()
		}
	}
}

func (f *inflightBlob) asAnswer(failure error) error {
	var made *answer
	if failure == errElsewhere || errors.As(failure, &made) {
		return failure
	}
	return refusal(http.StatusBadGateway, "UNAVAILABLE", fmt.Sprintf(
		"blob %s from upstream %s: %v", f.digest, f.cache.upstream, failure))
}

// wait is until `come` is behind the offset; that may be all there will ever be.
func (f *inflightBlob) wait(ctx context.Context, offset int64, come func() int64) (int64, error) {
	for {
		f.mu.Lock()
		until, whole, failure, changed := come(), f.whole, f.failure, f.changed
		f.mu.Unlock()
		switch {
		case failure != nil:
			return 0, failure
		case until > offset:
			return until, nil
		case whole:
			return 0, io.EOF
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// free is how many bytes clients may have; the lock is held.
func (f *inflightBlob) free() int64 {
	if f.whole {
		return f.size
	}
	return min(f.written, f.size-heldBack)
}
