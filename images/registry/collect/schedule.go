package collect

import (
	"context"
	"errors"
	"time"
)

const (
	// glance is how often a collector looks whether a run is due.
	glance = 30 * time.Second
	// pauseAfterFault is how long it waits after a run that failed.
	pauseAfterFault = 2 * time.Minute
	// nearly is how much earlier than the end of the grace period a run may be due, and is made at that end.
	nearly = 10 * time.Minute
)

// schedule makes the runs of a timetable until it is stopped.
func (c *collector) schedule(ctx context.Context) error {
	when, err := timetableOf(c.config)
	if err != nil {
		return err
	}
	c.event("scheduled", map[string]any{"at": c.config.At, "days": c.config.Days, "holder": c.config.Holder})
	for ctx.Err() == nil {
		wait := glance
		made, err := c.dueRun(ctx, &when)
		switch {
		case ctx.Err() != nil || errors.Is(err, errNotDue):
		case errors.As(err, new(refusal)):
			c.event("refused", map[string]any{"reason": err.Error()})
			wait = pauseAfterFault
		case err != nil:
			c.event("failed", map[string]any{"reason": err.Error()})
			wait = pauseAfterFault
		default:
			c.event("result", made)
		}
		_ = sleep(ctx, wait)
	}
	return nil
}

// dueRun makes a run if one is due, or if one was interrupted between a removal and its verification.
func (c *collector) dueRun(ctx context.Context, when *timetable) (result, error) {
	if err := c.store.Synchronize(ctx); err != nil {
		return result{}, err
	}
	state, err := c.loadState(ctx)
	if err != nil {
		return result{}, err
	}
	if len(state.Sweeping) == 0 {
		if !when.due(c.store.Now(), state.Scheduled) {
			return result{}, errNotDue
		}
		if state.Waiting != nil && state.Waiting.Blobs > 0 {
			left := state.Waiting.Since.Add(c.config.GracePeriod.std()).Sub(c.store.Now())
			if left > 0 && left < nearly {
				if err := sleep(ctx, left); err != nil {
					return result{}, err
				}
			}
		}
	}
	return c.run(ctx, options{trigger: "schedule", timetable: when})
}
