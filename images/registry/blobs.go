package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/sirupsen/logrus"
)

var errElsewhere = errors.New("stored meanwhile")

func (c *cache) serveBlob(w http.ResponseWriter, r *http.Request, dgst digest.Digest) {
	key := r.URL.Path
	f := c.attach(key, nil)
	if f == nil {
		// A question that costs no more than a look into the storage.
		switch known := c.ask(r, http.MethodHead, &question{offline: true}); {
		case known.status < 400:
			c.inner.ServeHTTP(w, r)
			return
		case known.status == http.StatusBadRequest:
			// No repository can have this name; an upstream is never asked for it.
			known.send(w, r.Method)
			return
		}
		if r.Method == http.MethodHead {
			c.headBlob(w, r, dgst)
			return
		}
		f = c.attach(key, func() *inflightBlob { return c.start(key, r, dgst) })
	}
	defer f.leave()
	offset, length, err := f.await(r)
	var failed *answer
	switch {
	case errors.Is(err, errElsewhere):
		c.inner.ServeHTTP(w, r)
	case errors.As(err, &failed):
		failed.send(w, r.Method)
	case err != nil:
		// The client has left.
	default:
		f.send(w, r, offset, length)
	}
}

// attach joins a blob that is coming in, or begins with `start`.
func (c *cache) attach(key string, start func() *inflightBlob) *inflightBlob {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.inflight[key]
	if f == nil || !f.join() {
		if start == nil {
			return nil
		}
		f = start()
		c.inflight[key] = f
	}
	return f
}

// headBlob answers from the upstream's own header.
func (c *cache) headBlob(w http.ResponseWriter, r *http.Request, dgst digest.Digest) {
	q := &question{timeout: timeout, headOnly: true}
	got := c.ask(r, http.MethodHead, q)
	if q.found != nil {
		got = &answer{status: http.StatusOK, header: q.found}
		describe(got.header, dgst)
	}
	c.result(q, got).send(w, r.Method)
}

func describe(header http.Header, dgst digest.Digest) {
	header.Set("Docker-Content-Digest", dgst.String())
	header.Set("Etag", strconv.Quote(dgst.String()))
	header.Set("Accept-Ranges", "bytes")
}

// start lets one request through to distribution, on its own: it goes on when its client leaves, though not for long.
func (c *cache) start(key string, r *http.Request, dgst digest.Digest) *inflightBlob {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(r.Context()))
	f := newInflightBlob(c, dgst, cancel)
	request := r.Clone(f.question.in(ctx))
	request.Method = http.MethodGet
	request.Header.Del("Range")
	go func() {
		if err := c.spool.enter(ctx); err != nil {
			f.fail(err)
		} else {
			c.fetch(f, request)
			c.spool.exit()
		}
		cancel(nil)
		c.mu.Lock()
		if c.inflight[key] == f {
			delete(c.inflight, key)
		}
		c.mu.Unlock()
		f.leave()
	}()
	return f
}

// fetch goes by distribution, which stores the blob, or past it where the storage has no room for it.
func (c *cache) fetch(f *inflightBlob, r *http.Request) {
	if f.storing = c.storage.reserve(linksOfABlob); f.storing {
		c.run(f, r)
		c.storage.unreserve(linksOfABlob)
	}
	if !f.storing {
		f.inner = answer{header: http.Header{}}
		c.pass(f, r)
		c.storage.countNotKept()
	}
	f.end()
	c.storage.unreserve(f.reservedInStorage)
}

// pass asks the upstream as distribution does, and leaves the storage out.
func (c *cache) pass(f *inflightBlob, r *http.Request) {
	where := c.remote
	where.Path = r.URL.Path
	request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, where.String(), nil)
	if err == nil {
		var response *http.Response
		// Not http.DefaultClient, to which the S3 client gives a transport of its own.
		if response, err = (&http.Client{Transport: http.DefaultTransport}).Do(request); err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return
			}
		}
	}
	f.WriteHeader(http.StatusBadGateway)
}

// send gives a client the part it wants as it comes in.
func (f *inflightBlob) send(w http.ResponseWriter, r *http.Request, offset, length int64) {
	describe(w.Header(), f.digest)
	w.Header().Set("Content-Type", f.kind)
	w.Header().Set("Content-Length", strconv.FormatInt(length, 10))
	status, end := http.StatusOK, offset+length
	if length != f.size {
		status = http.StatusPartialContent
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", offset, end-1, f.size))
	}
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return
	}
	control := http.NewResponseController(w)
	for offset < end {
		here, err := f.wait(r.Context(), offset, f.free)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		here = min(here, end)
		sent, err := io.Copy(w, io.NewSectionReader(f.file, offset, here-offset))
		if err == nil && sent < here-offset {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			logrus.Debugf("%s: %v", r.URL.Path, err)
			panic(http.ErrAbortHandler)
		}
		offset = here
		if offset < end {
			control.Flush()
		}
	}
}

var errRange = errors.New("range")

// part is what a Range header asks of so many bytes: all of them, if it is none that one answer can give.
func part(r *http.Request, etag string, size int64) (offset, length int64, err error) {
	text, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes=")
	if given := r.Header.Get("If-Range"); !ok || strings.Contains(text, ",") || (given != "" && given != etag) {
		return 0, size, nil
	}
	from, to, _ := strings.Cut(strings.TrimSpace(text), "-")
	if from == "" {
		last, err := strconv.ParseInt(to, 10, 64)
		if err != nil {
			return 0, size, nil
		}
		if last <= 0 || size == 0 {
			return 0, 0, errRange
		}
		last = min(last, size)
		return size - last, last, nil
	}
	offset, err = strconv.ParseInt(from, 10, 64)
	if err != nil || offset < 0 {
		return 0, size, nil
	}
	end := size - 1
	if to != "" {
		if end, err = strconv.ParseInt(to, 10, 64); err != nil || end < offset {
			return 0, size, nil
		}
		end = min(end, size-1)
	}
	if offset >= size {
		return 0, 0, errRange
	}
	return offset, end - offset + 1, nil
}
