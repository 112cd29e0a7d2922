package collect

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"berth.invalid/images/registry/collect/store"
	"golang.org/x/sync/errgroup"
)

// What a collector keeps is below one folder of the bucket, outside the registry's root. Each object is written whole.
const (
	folder         = "gc/"
	lockKey        = folder + "lock"
	stateKey       = folder + "state.json"
	candidatesKey  = folder + "candidates.json.gz"
	cacheKey       = folder + "manifests.json.gz"
	runsFolder     = folder + "runs/"
	removedFolder  = folder + "removed/"
	stateSizeLimit = 1 << 30
	runsKept       = 400
	// deletions is how many requests of a thousand are under way at a time.
	deletions = 4
)

// A state is what the runs before left.
type state struct {
	Mark summary `json:"mark"`
	// Sweeping are the runs that began to remove and whose effect no mark has verified.
	Sweeping []string `json:"sweeping,omitempty"`
	// Scheduled is when the last run by the timetable began.
	Scheduled time.Time `json:"scheduled"`
	Waiting   *waiting  `json:"waiting"`
	// Reclaimable is how many bytes are kept in versions that are not visible.
	Reclaimable int64 `json:"reclaimable"`
}

// A summary is what the last mark that was believed has counted.
type summary struct {
	Time         time.Time `json:"time"`
	Repositories int       `json:"repositories"`
	Roots        int       `json:"roots"`
	Manifests    int       `json:"manifests"`
	Blobs        int       `json:"blobs"`
	Bytes        int64     `json:"bytes"`
}

// waiting sums up the candidates.
type waiting struct {
	Since time.Time `json:"since"`
	Blobs int       `json:"blobs"`
	Bytes int64     `json:"bytes"`
}

func waitingOf(candidates []candidate) *waiting {
	found := &waiting{Blobs: len(candidates), Bytes: bytesOf(candidates)}
	for i, each := range candidates {
		if i == 0 || each.Since.Before(found.Since) {
			found.Since = each.Since
		}
	}
	return found
}

// A result is a line of the history.
type result struct {
	Run            string    `json:"run"`
	Time           time.Time `json:"time"`
	Trigger        string    `json:"trigger"`
	Phase          string    `json:"phase"`
	Reason         string    `json:"reason,omitempty"`
	WouldRefuse    string    `json:"wouldRefuse,omitempty"`
	Blobs          int       `json:"blobs"`
	Bytes          int64     `json:"bytes"`
	Repositories   int       `json:"repositories"`
	Manifests      int       `json:"manifests"`
	Candidates     int       `json:"candidates"`
	CandidateBytes int64     `json:"candidateBytes"`
	Condemned      int       `json:"condemned"`
	CondemnedBytes int64     `json:"condemnedBytes"`
	Deleted        int       `json:"deleted"`
	Undeleted      int       `json:"undeleted"`
	Purged         int       `json:"purged"`
	PurgedBytes    int64     `json:"purgedBytes"`
	Reclaimable    int64     `json:"reclaimable"`
	Undone         bool      `json:"undone,omitempty"`
	Seconds        float64   `json:"seconds"`
}

// load reads an object into a value, which stays as it is where there is no such object.
func (c *collector) load(ctx context.Context, key string, into any) error {
	object, err := c.store.Get(ctx, key, "", stateSizeLimit)
	if store.IsMissing(err) {
		return nil
	}
	if err == nil {
		err = decode(key, object.Body, into)
	}
	if err != nil {
		return fmt.Errorf("%s/%s: %w", c.config.Bucket, key, err)
	}
	return nil
}

func decode(key string, body []byte, into any) error {
	if !strings.HasSuffix(key, ".gz") {
		return json.Unmarshal(body, into)
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return err
	}
	if err := json.NewDecoder(unpacked).Decode(into); err != nil {
		return err
	}
	// The checksum is at the end.
	_, err = io.Copy(io.Discard, unpacked)
	return err
}

func (c *collector) save(ctx context.Context, key string, value any) error {
	var body bytes.Buffer
	var into io.Writer = &body
	packed, _ := gzip.NewWriterLevel(&body, gzip.BestSpeed)
	if strings.HasSuffix(key, ".gz") {
		into = packed
	}
	err := json.NewEncoder(into).Encode(value)
	if into == packed {
		err = errors.Join(err, packed.Close())
	}
	if err != nil {
		return err
	}
	_, err = c.store.Put(ctx, key, body.Bytes(), store.Any)
	c.step("saved " + key)
	return err
}

func (c *collector) loadState(ctx context.Context) (state, error) {
	var found state
	return found, c.load(ctx, stateKey, &found)
}

func (c *collector) history(ctx context.Context) ([]string, error) {
	var keys []string
	err := c.store.Keys(ctx, runsFolder, func(key string) error {
		keys = append(keys, key)
		return nil
	})
	slices.Sort(keys)
	slices.Reverse(keys)
	return keys, err
}

// tidy removes what is below the collector's folder and of no use: old versions, and what is older than any undo.
func (c *collector) tidy(ctx context.Context) error {
	runs, err := c.history(ctx)
	if err != nil {
		return err
	}
	old := map[string]bool{}
	for i, key := range runs {
		old[key] = i >= runsKept
	}
	limit := c.store.Now().Add(-2 * c.config.PurgeAfter.std())
	var names []store.Name
	err = c.store.Versions(ctx, folder, func(version store.Version) error {
		expired := old[version.Key] || (strings.HasPrefix(version.Key, removedFolder) && version.Modified.Before(limit))
		if expired || !version.Latest {
			names = append(names, store.Name{Key: version.Key, Version: version.ID})
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.delete(ctx, names, "tidied")
}

// delete removes names by the thousand, each thousand only while the lock is surely held.
func (c *collector) delete(ctx context.Context, names []store.Name, step string) error {
	var done atomic.Int64
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(deletions)
	for batch := range slices.Chunk(names, store.Most) {
		group.Go(func() error {
			if err := c.locked(inner); err != nil {
				return err
			}
			if err := c.store.Delete(inner, batch); err != nil {
				return err
			}
			c.step(step)
			c.progress(step, "done", done.Add(int64(len(batch))), "of", len(names))
			return nil
		})
	}
	return group.Wait()
}
