package collect

import (
	"context"

	"berth.invalid/images/registry/collect/lock"
	"golang.org/x/sync/errgroup"
)

// shown is how many runs a status has.
const shown = 20

type status struct {
	Bucket      string      `json:"bucket"`
	Lock        *lock.State `json:"lock"`
	Candidates  *waiting    `json:"candidates"`
	LastMark    *summary    `json:"lastMark"`
	Runs        []result    `json:"runs"`
	Reclaimable int64       `json:"reclaimable"`
}

func (c *collector) status(ctx context.Context) (status, error) {
	found := status{Bucket: c.config.Bucket, Runs: []result{}}
	if err := c.store.Synchronize(ctx); err != nil {
		return found, err
	}
	state, err := c.loadState(ctx)
	if err != nil {
		return found, err
	}
	found.Candidates, found.Reclaimable = state.Waiting, state.Reclaimable
	if !state.Mark.Time.IsZero() {
		found.LastMark = &state.Mark
	}
	if found.Lock, err = lock.Read(ctx, c.store, lockKey); err != nil {
		return found, err
	}
	keys, err := c.history(ctx)
	if err != nil {
		return found, err
	}
	found.Runs = make([]result, min(len(keys), shown))
	group, ctx := errgroup.WithContext(ctx)
	for i := range found.Runs {
		group.Go(func() error { return c.load(ctx, keys[i], &found.Runs[i]) })
	}
	return found, group.Wait()
}
