package collect

import (
	"context"
	"errors"
	"slices"
	"time"

	"berth.invalid/images/registry/collect/lock"
	"berth.invalid/images/registry/collect/store"
)

// options are those of one run.
type options struct {
	dry, now  bool
	confirmed []int
	trigger   string
	// timetable is set for a run that is made only where it is due.
	timetable *timetable
}

// A phase is how far a run came.
const (
	marked   = "mark"
	swept    = "sweep"
	purged   = "purge"
	planned  = "plan"
	sweeping = "sweeping"
	refused  = "refused"
	failed   = "failed"
)

// errNotDue means that another collector has made the run already.
var errNotDue = errors.New("the run is not due")

// A run is one pass of a collector: everything that is due.
type run struct {
	*collector
	options options
	state   state
	result  result
	began   time.Time
}

func (c *collector) run(ctx context.Context, options options) (result, error) {
	if err := c.begin(ctx); err != nil {
		return result{}, err
	}
	r := &run{collector: c, options: options, began: time.Now()}
	r.result = result{Time: c.store.Now(), Trigger: options.trigger}
	r.result.Run = newRun(r.result.Time)
	if options.dry {
		err := r.plan(ctx)
		return r.result, err
	}
	err := c.exclusively(ctx, r.do)
	for attempt := 0; errors.Is(err, lock.ErrLost) && r.result.Phase == sweeping && attempt < 10; attempt++ {
		// A request that was under way may have removed something after the other collector's verification.
		if sleep(ctx, c.config.LockLife.std()) == nil {
			if again := c.exclusively(ctx, r.verifyAgain); again == nil {
				break
			}
		}
	}
	return r.result, err
}

func (r *run) do(ctx context.Context) (err error) {
	if r.state, err = r.loadState(ctx); err != nil {
		return err
	}
	r.loadCache(ctx)
	if len(r.state.Sweeping) > 0 {
		if err := r.verify(ctx); err != nil {
			return err
		}
	}
	if err := r.take(ctx); err != nil {
		return err
	}
	err = r.collect(ctx)
	if err == nil || errors.Is(err, lock.ErrLost) || context.Cause(ctx) != nil {
		return err
	}
	r.result.Reason = err.Error()
	if r.result.Phase != sweeping {
		r.result.Phase = failed
		if errors.As(err, new(refusal)) {
			r.result.Phase = refused
		}
	}
	return errors.Join(err, r.record(ctx))
}

// take makes sure that a run by the timetable is made by one collector only, and once.
func (r *run) take(ctx context.Context) error {
	if r.options.timetable == nil {
		return nil
	}
	if !r.options.timetable.due(r.result.Time, r.state.Scheduled) {
		return errNotDue
	}
	r.state.Scheduled = r.result.Time
	return r.save(ctx, stateKey, r.state)
}

func (r *run) record(ctx context.Context) error {
	r.result.Seconds = time.Since(r.began).Seconds()
	return r.save(ctx, runsFolder+r.result.Run+".json", r.result)
}

func (r *run) collect(ctx context.Context) error {
	mark, condemned, waiting, err := r.marks(ctx)
	if err != nil {
		return err
	}
	if err := r.config.guard(r.state.Mark, mark, condemned, r.options.confirmed); err != nil {
		return err
	}
	if err := r.purge(ctx, mark); err != nil {
		return err
	}
	if err := r.keep(ctx, mark, append(waiting, condemned...)); err != nil {
		return err
	}
	if len(condemned) > 0 {
		if err := r.sweep(ctx, condemned); err != nil {
			return err
		}
		if err := r.save(ctx, candidatesKey, waiting); err != nil {
			return err
		}
		r.state.Waiting = waitingOf(waiting)
		if err := r.verify(ctx); err != nil {
			return err
		}
	}
	if r.result.Phase != swept {
		if err := r.record(ctx); err != nil {
			return err
		}
	}
	return r.tidy(ctx)
}

// marks makes the mark, a second one where the run is not to wait for the next, and brings back what is needed.
func (r *run) marks(ctx context.Context) (made *mark, condemned, waiting []candidate, err error) {
	var before []candidate
	if err := r.load(ctx, candidatesKey, &before); err != nil {
		return nil, nil, nil, err
	}
	if err := r.health(ctx); err != nil {
		return nil, nil, nil, err
	}
	if made, err = r.trusted(ctx); err != nil {
		return nil, nil, nil, err
	}
	r.step("marked")
	grace := r.config.GracePeriod.std()
	if r.options.now {
		grace = 0
		before = made.candidates(before, r.config.MinimumAge.std())
		if err := r.settle(ctx); err != nil {
			return nil, nil, nil, err
		}
		if made, err = r.trusted(ctx); err != nil {
			return nil, nil, nil, err
		}
	}
	condemned, waiting = made.condemned(made.candidates(before, r.config.MinimumAge.std()), grace)
	r.result.Blobs, r.result.Bytes = made.visible()
	r.result.Repositories, r.result.Manifests = made.repositories, made.manifests
	r.result.Candidates, r.result.CandidateBytes = len(waiting), bytesOf(waiting)
	r.result.Condemned, r.result.CondemnedBytes = len(condemned), bytesOf(condemned)
	r.result.Reclaimable = made.reclaimable()
	r.result.Phase = marked
	return made, condemned, waiting, nil
}

// trusted makes a mark, brings back what it found to be needed, and fails where nothing may be removed by it.
func (r *run) trusted(ctx context.Context) (*mark, error) {
	made, err := r.mark(ctx)
	if err != nil {
		return nil, err
	}
	if err := r.restore(ctx, made); err != nil {
		return nil, err
	}
	return made, made.doubt
}

// restore takes the markers away from what is needed.
func (r *run) restore(ctx context.Context, of *mark) error {
	markers, blobs := of.restorable(r.layout)
	if r.options.dry {
		r.result.Undeleted = blobs
		return nil
	}
	if err := r.delete(ctx, markers, "undeleted"); err != nil {
		return err
	}
	r.result.Undeleted += blobs
	return nil
}

func (r *run) purge(ctx context.Context, of *mark) error {
	found := of.purge(r.layout, r.config.PurgeAfter.std())
	if err := r.delete(ctx, found.data, "purged"); err != nil {
		return err
	}
	if err := r.delete(ctx, found.markers, "purged markers"); err != nil {
		return err
	}
	r.result.Purged, r.result.PurgedBytes = found.blobs, found.bytes
	r.result.Reclaimable -= found.bytes
	if found.blobs > 0 {
		r.result.Phase = purged
	}
	return nil
}

// keep stores what the next run builds on.
func (r *run) keep(ctx context.Context, of *mark, candidates []candidate) error {
	if err := r.save(ctx, candidatesKey, candidates); err != nil {
		return err
	}
	r.state.Mark = summary{of.started, of.repositories, of.roots, of.manifests, r.result.Blobs, r.result.Bytes}
	r.state.Waiting, r.state.Reclaimable = waitingOf(candidates), r.result.Reclaimable
	if err := r.save(ctx, stateKey, r.state); err != nil {
		return err
	}
	return r.saveCache(ctx)
}

// sweep hides what is condemned. What it is about to hide is stored before, so that it can be undone from wherever it stops.
func (r *run) sweep(ctx context.Context, condemned []candidate) error {
	if err := r.save(ctx, removedKey(r.result.Run), condemned); err != nil {
		return err
	}
	r.result.Phase = sweeping
	if err := r.record(ctx); err != nil {
		return err
	}
	r.state.Sweeping = append(r.state.Sweeping, r.result.Run)
	if err := r.save(ctx, stateKey, r.state); err != nil {
		return err
	}
	names := make([]store.Name, len(condemned))
	for i, each := range condemned {
		names[i].Key = r.layout.Blob(each.Digest)
	}
	if err := r.delete(ctx, names, "removed"); err != nil {
		return err
	}
	r.result.Deleted = len(condemned)
	return nil
}

func removedKey(run string) string { return removedFolder + run + ".json.gz" }

// verify waits until every request that could have seen what is hidden now has written its link, and brings back what these need.
func (r *run) verify(ctx context.Context) error {
	if err := r.settle(ctx); err != nil {
		return err
	}
	made, err := r.trusted(ctx)
	if err != nil {
		return err
	}
	r.step("verified")
	r.result.Reclaimable = made.reclaimable()
	r.state.Reclaimable = r.result.Reclaimable
	if err := r.close(ctx, made); err != nil {
		return err
	}
	r.state.Sweeping = nil
	return r.save(ctx, stateKey, r.state)
}

// verifyAgain is for a run that has lost its lock: somebody else has written the state since.
func (r *run) verifyAgain(ctx context.Context) (err error) {
	if r.state, err = r.loadState(ctx); err != nil {
		return err
	}
	if !slices.Contains(r.state.Sweeping, r.result.Run) {
		r.state.Sweeping = append(r.state.Sweeping, r.result.Run)
	}
	return r.verify(ctx)
}

// close ends the records of the runs whose removals are verified now.
func (r *run) close(ctx context.Context, verified *mark) error {
	for _, id := range r.state.Sweeping {
		if id == r.result.Run {
			r.result.Phase = swept
			if err := r.record(ctx); err != nil {
				return err
			}
			continue
		}
		var before result
		var removed []candidate
		key := runsFolder + id + ".json"
		if err := errors.Join(r.load(ctx, key, &before), r.load(ctx, removedKey(id), &removed)); err != nil {
			return err
		}
		before.Phase, before.Deleted = swept, 0
		for _, each := range removed {
			if found := verified.blobs[each.Digest]; found != nil && found.hidden() {
				before.Deleted++
			}
		}
		if err := r.save(ctx, key, before); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) settle(ctx context.Context) error {
	r.progress("settling", "seconds", r.config.Settle.std().Seconds())
	return sleep(ctx, r.config.Settle.std())
}

// plan says what a run would do now, and writes nothing.
func (r *run) plan(ctx context.Context) error {
	r.loadCache(ctx)
	made, condemned, _, err := r.marks(ctx)
	if err != nil {
		return err
	}
	before, err := r.loadState(ctx)
	if err != nil {
		return err
	}
	if refused := r.config.guard(before.Mark, made, condemned, r.options.confirmed); refused != nil {
		r.result.WouldRefuse = refused.Error()
	}
	found := made.purge(r.layout, r.config.PurgeAfter.std())
	r.result.Purged, r.result.PurgedBytes = found.blobs, found.bytes
	r.result.Phase, r.result.Seconds = planned, time.Since(r.began).Seconds()
	return nil
}
