// Package store is an S3 client with what a collection of garbage needs: listings with versions, conditional writes,
// deletions by the thousand, and the store's clock in the place of the node's.
package store

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go/aws/credentials"
	v4 "github.com/aws/aws-sdk-go/aws/signer/v4"
)

const (
	attempts = 6
	timeout  = 2 * time.Minute
)

// Options say where a bucket is, and who asks.
type Options struct {
	Endpoint, Region, Bucket, AccessKey, SecretKey string
	Transport                                      http.RoundTripper
	// NodeClock is the clock that is not trusted: only what it advances counts.
	NodeClock func() time.Time
}

// A Client speaks to one bucket. It may be used by many at a time.
type Client struct {
	options Options
	base    *url.URL
	client  *http.Client
	signer  *v4.Signer

	mu            sync.Mutex
	asOf, storeAt time.Time
}

// An Error is what the store answered in the place of what it was asked.
type Error struct {
	Status  int    `xml:"-"`
	Code    string `xml:"Code"`
	Message string `xml:"Message"`
	What    string `xml:"-"`
}

func (e *Error) Error() string {
	return fmt.Sprintf("the object store answered %d %s to %s: %s", e.Status, e.Code, e.What, e.Message)
}

// IsMissing says whether an error means that there is no such object.
func IsMissing(err error) bool { return hasStatus(err, http.StatusNotFound) }

// IsForbidden says whether the account may not do what it asked for.
func IsForbidden(err error) bool { return hasStatus(err, http.StatusForbidden) }

// IsConflict says whether the condition of a write was not met.
func IsConflict(err error) bool {
	return hasStatus(err, http.StatusPreconditionFailed) || hasStatus(err, http.StatusConflict)
}

func hasStatus(err error, status int) bool {
	var answer *Error
	return errors.As(err, &answer) && answer.Status == status
}

// New returns a client; nothing is asked yet.
func New(options Options) (*Client, error) {
	base, err := url.Parse(options.Endpoint)
	if err != nil || base.Host == "" || (base.Scheme != "https" && base.Scheme != "http") {
		return nil, fmt.Errorf("endpoint: %q is no URL of an object store", options.Endpoint)
	}
	if options.NodeClock == nil {
		options.NodeClock = time.Now
	}
	signer := v4.NewSigner(credentials.NewStaticCredentials(options.AccessKey, options.SecretKey, ""))
	signer.DisableURIPathEscaping = true
	return &Client{options: options, base: base, client: &http.Client{Transport: options.Transport}, signer: signer}, nil
}

// Bucket is the bucket's name.
func (c *Client) Bucket() string { return c.options.Bucket }

// Synchronize takes over the store's clock.
func (c *Client) Synchronize(ctx context.Context) error {
	var failure error
	for attempt := range attempts {
		if failure = c.readClock(ctx); failure == nil || ctx.Err() != nil {
			return failure
		}
		pause(ctx, attempt)
	}
	return failure
}

func (c *Client) readClock(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, c.base.String()+"/", nil)
	if err != nil {
		return err
	}
	response, err := c.client.Do(request)
	if err != nil {
		return fmt.Errorf("the object store does not answer: %w", err)
	}
	response.Body.Close()
	date, err := http.ParseTime(response.Header.Get("Date"))
	if err != nil {
		return fmt.Errorf("the object store does not say what time it is: Date is %q", response.Header.Get("Date"))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asOf, c.storeAt = c.options.NodeClock(), date
	return nil
}

// Now is the store's time. Synchronize has to have been called.
func (c *Client) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.storeAt.Add(c.options.NodeClock().Sub(c.asOf)).UTC()
}

type request struct {
	method, key string
	// path is in the place of the bucket's and the key's.
	path   string
	query  url.Values
	header map[string]string
	body   []byte
}

func (r request) String() string {
	what := r.method + " " + r.path + r.key
	if len(r.query) > 0 {
		what += "?" + r.query.Encode()
	}
	return what
}

// do asks until there is an answer that a repetition would not change.
func (c *Client) do(ctx context.Context, r request, read func(*http.Response) error) error {
	var failure error
	for attempt := range attempts {
		failure = c.once(ctx, r, read)
		if failure == nil || ctx.Err() != nil || !worthRepeating(failure) {
			return failure
		}
		var answer *Error
		if errors.As(failure, &answer) && answer.Code == "RequestTimeTooSkewed" {
			if err := c.readClock(ctx); err != nil {
				return err
			}
		}
		pause(ctx, attempt)
	}
	return failure
}

func worthRepeating(err error) bool {
	var answer *Error
	if !errors.As(err, &answer) {
		return true
	}
	return answer.Status >= 500 || answer.Status == http.StatusTooManyRequests || answer.Code == "RequestTimeTooSkewed"
}

func pause(ctx context.Context, attempt int) {
	wait := 200 * time.Millisecond << attempt
	select {
	case <-ctx.Done():
	case <-time.After(wait/2 + rand.N(wait)):
	}
}

func (c *Client) once(ctx context.Context, r request, read func(*http.Response) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	address := *c.base
	address.Path = r.path
	if r.path == "" {
		address.Path = strings.TrimSuffix("/"+c.options.Bucket+"/"+r.key, "/")
	}
	address.RawQuery = r.query.Encode()
	asked, err := http.NewRequestWithContext(ctx, r.method, address.String(), nil)
	if err != nil {
		return err
	}
	for name, value := range r.header {
		asked.Header.Set(name, value)
	}
	var body io.ReadSeeker
	if len(r.body) > 0 {
		body = bytes.NewReader(r.body)
	}
	if _, err := c.signer.Sign(asked, body, "s3", c.options.Region, c.Now()); err != nil {
		return err
	}
	asked.ContentLength = int64(len(r.body))
	response, err := c.client.Do(asked)
	if err != nil {
		return fmt.Errorf("the object store does not answer to %s: %w", r, err)
	}
	defer response.Body.Close()
	if response.StatusCode >= 300 {
		return refusal(r, response)
	}
	if read == nil {
		_, err = io.Copy(io.Discard, response.Body)
		return err
	}
	return read(response)
}

func refusal(r request, response *http.Response) error {
	answer := &Error{What: r.String()}
	body, _ := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if xml.Unmarshal(body, answer) != nil {
		answer.Message = string(body)
	}
	answer.Status = response.StatusCode
	return answer
}

// IsAnswer says whether the store answered at all, and would so again.
func IsAnswer(err error) bool {
	var answer *Error
	return errors.As(err, &answer) && !worthRepeating(err)
}
