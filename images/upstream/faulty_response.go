package main

import (
	"bytes"
	"net/http"
	"strconv"
)

const chunk = 16 << 10

// A faultyResponse sends a response with its fault, throttled.
type faultyResponse struct {
	http.ResponseWriter
	proxy     *faultProxy
	injection *injection
	request   *http.Request
	fault     string
	begun     bool
	left      int64
}

// WriteHeader implements http.ResponseWriter.
func (f *faultyResponse) WriteHeader(status int) {
	if f.begun {
		return
	}
	f.begun = true
	if status != http.StatusOK && status != http.StatusPartialContent {
		f.fault = "none"
	}
	length, err := strconv.ParseInt(f.Header().Get("Content-Length"), 10, 64)
	if err != nil {
		f.fault = "none"
	}
	f.left = length / 2
	if f.fault == "empty" {
		f.Header().Set("Content-Length", "0")
	}
	f.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (f *faultyResponse) Write(p []byte) (int, error) {
	f.WriteHeader(http.StatusOK)
	given := len(p)
	switch f.fault {
	case "empty":
		return given, nil
	case "wrong":
		p = corrupted(p)
	case "truncated", "stall":
		p = p[:min(int64(len(p)), f.left)]
		f.left -= int64(len(p))
	}
	if err := f.send(p); err != nil {
		return 0, err
	}
	if f.left == 0 && (f.fault == "truncated" || f.fault == "stall") {
		http.NewResponseController(f.ResponseWriter).Flush()
		if f.fault == "stall" {
			<-f.request.Context().Done()
		}
		panic(http.ErrAbortHandler)
	}
	return given, nil
}

// send writes in throttled chunks and counts them.
func (f *faultyResponse) send(p []byte) error {
	for len(p) > 0 {
		n := min(chunk, len(p))
		if f.injection.throttle != nil {
			f.injection.throttle.wait(n)
		}
		sent, err := f.ResponseWriter.Write(p[:n])
		f.proxy.count(f.request, 0, sent)
		if err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// corrupted has one byte changed: a digit if there is one, so that a manifest stays one that can be read.
func corrupted(p []byte) []byte {
	if len(p) == 0 {
		return p
	}
	other := bytes.Clone(p)
	at := max(bytes.LastIndexAny(other, "0123456789"), 0)
	if digit := other[at]; digit >= '1' && digit <= '8' {
		other[at]++
	} else {
		other[at] ^= 1
	}
	return other
}
