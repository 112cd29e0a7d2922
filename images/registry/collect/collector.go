// Package collect removes from a registry's bucket what no manifest needs, while the registry goes on.
//
// A blob that two marks, a grace period apart, found not to be needed is hidden by a delete marker. A third mark brings back
// what a push has begun to need meanwhile. Days later another mark, and only then, lets a purge remove the hidden version.
// docs/garbage-collection.md says why nothing is lost, wherever a collector stops.
package collect

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"berth.invalid/images/registry/collect/layout"
	"berth.invalid/images/registry/collect/lock"
	"berth.invalid/images/registry/collect/store"
)

// uploads is the pattern of keys that have to be without versions: what is uploaded would be kept twice otherwise.
const uploads = "*/_uploads/"

type collector struct {
	config Config
	store  *store.Client
	layout layout.Layout
	health health
	cache  *cache
	lock   *lock.Lock
	// step is called with what has just been done; tests stop there.
	step func(string)

	mu  sync.Mutex
	out io.Writer
}

// Prepare makes a transport reach the store as the registry does.
type Prepare func(*http.Transport)

func newCollector(config Config, prepare Prepare, out io.Writer) (*collector, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = listings + reads
	if config.CAFile != "" {
		text, err := os.ReadFile(config.CAFile)
		if err != nil {
			return nil, fmt.Errorf("caFile: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("caFile: %s holds no certificate", config.CAFile)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	if prepare != nil {
		prepare(transport)
	}
	client, err := store.New(store.Options{
		Endpoint: config.Endpoint, Region: config.Region, Bucket: config.Bucket,
		AccessKey: config.AccessKey, SecretKey: config.SecretKey, Transport: transport,
	})
	if err != nil {
		return nil, err
	}
	return &collector{
		config: config, store: client, layout: layout.New(config.Root), health: drivesOf(client), step: func(string) {}, out: out,
	}, nil
}

// event prints a line.
func (c *collector) event(name string, value any) {
	fields := map[string]any{}
	if text, err := json.Marshal(value); err == nil {
		_ = json.Unmarshal(text, &fields)
	}
	fields["event"] = name
	line, _ := json.Marshal(fields)
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprintf(c.out, "%s\n", line)
}

func (c *collector) progress(step string, pairs ...any) {
	fields := map[string]any{"step": step}
	for i := 0; i+1 < len(pairs); i += 2 {
		fields[pairs[i].(string)] = pairs[i+1]
	}
	c.event("progress", fields)
}

// begin makes sure of what all else relies on.
func (c *collector) begin(ctx context.Context) error {
	if err := c.store.Synchronize(ctx); err != nil {
		return err
	}
	versioning, err := c.store.Versioning(ctx)
	if err != nil {
		return err
	}
	if versioning.Status != "Enabled" {
		return refuse("bucket %s keeps no versions, so nothing that is removed could be brought back: enable its versioning",
			c.config.Bucket)
	}
	if !versioning.Excludes(uploads) {
		return refuse("the versioning of bucket %s does not exclude the prefix %s: every upload would be kept twice",
			c.config.Bucket, uploads)
	}
	return nil
}

// exclusively does something while no other collector does. It ends with lock.ErrLost where that is not sure any more.
func (c *collector) exclusively(ctx context.Context, do func(context.Context) error) error {
	held, inner, err := lock.Acquire(ctx, c.store, lockKey, c.config.Holder, c.config.LockLife.std())
	var other lock.Held
	if errors.As(err, &other) {
		return refusal{other.Error()}
	}
	if err != nil {
		return err
	}
	c.lock = held
	c.step("locked")
	err = do(inner)
	if err != nil && errors.Is(context.Cause(inner), lock.ErrLost) {
		err = lock.ErrLost
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if released := held.Release(last); err == nil {
		err = released
	}
	c.step("released")
	return err
}

func (c *collector) locked(ctx context.Context) error {
	if err := c.lock.Check(); err != nil {
		return err
	}
	return context.Cause(ctx)
}

func newRun(at time.Time) string {
	return at.Format("20060102T150405Z") + "-" + strings.ToLower(rand.Text()[:4])
}

func sleep(ctx context.Context, long time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(long):
		return nil
	}
}
