package collect

import (
	"context"
	"regexp"

	"berth.invalid/images/registry/collect/store"
	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"
)

var runName = regexp.MustCompile(`^[0-9]{8}T[0-9]{6}Z-[a-z0-9]{4}$`)

// An undoing is what an undo did: how many blobs are back, and how many were purged before.
type undoing struct {
	Run       string `json:"run"`
	Undeleted int    `json:"undeleted"`
	Gone      int    `json:"gone"`
}

// undo takes the markers of a run away where the data is still there.
func (c *collector) undo(ctx context.Context, run string) (undoing, error) {
	done := undoing{Run: run}
	if !runName.MatchString(run) {
		return done, refuse("%q is no name of a run: status lists them", run)
	}
	if err := c.begin(ctx); err != nil {
		return done, err
	}
	return done, c.exclusively(ctx, func(ctx context.Context) error {
		var removed []candidate
		if err := c.load(ctx, removedKey(run), &removed); err != nil {
			return err
		}
		if len(removed) == 0 {
			return refuse("run %s removed nothing, or longer ago than can be undone: status lists the runs", run)
		}
		return c.uncover(ctx, removed, &done)
	})
}

func (c *collector) uncover(ctx context.Context, removed []candidate, done *undoing) error {
	stored := &blobList{blobs: map[digest.Digest]*blob{}, layout: c.layout}
	err := list(ctx, func(ctx context.Context, group *errgroup.Group) error { return c.listBlobs(ctx, group, stored) })
	if err != nil {
		return err
	}
	var markers []store.Name
	var bytes int64
	for _, each := range removed {
		found := stored.blobs[each.Digest]
		if found == nil || found.version == "" {
			done.Gone++
		} else if found.hidden() {
			markers = append(markers, names(c.layout.Blob(each.Digest), found.markers)...)
			done.Undeleted++
			bytes += found.bytes
		}
	}
	if err := c.delete(ctx, markers, "undeleted"); err != nil {
		return err
	}
	return c.noteUndone(ctx, done.Run, bytes)
}

func (c *collector) noteUndone(ctx context.Context, run string, bytes int64) error {
	key := runsFolder + run + ".json"
	var record result
	if err := c.load(ctx, key, &record); err != nil {
		return err
	}
	record.Undone = true
	if err := c.save(ctx, key, record); err != nil {
		return err
	}
	state, err := c.loadState(ctx)
	if err != nil {
		return err
	}
	state.Reclaimable -= bytes
	return c.save(ctx, stateKey, state)
}
