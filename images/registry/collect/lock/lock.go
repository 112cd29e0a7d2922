// Package lock lets one of many do something, by an object that is only written under a condition.
//
// The object is never deleted: a release is a write as well. Its age is by the store's clock, on both sides.
package lock

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"berth.invalid/images/registry/collect/store"
)

// ErrLost means that somebody else may hold the lock by now.
var ErrLost = errors.New("the lock was lost: it could not be renewed in time, or somebody else took it")

// A Held error names who holds the lock.
type Held struct{ State }

func (h Held) Error() string {
	return fmt.Sprintf("%s is collecting since %s", h.Holder, h.Since.Format(time.RFC3339))
}

// A State is what the object says.
type State struct {
	Holder string    `json:"holder"`
	Since  time.Time `json:"since"`
	Free   bool      `json:"free,omitempty"`
	// Session is of one who holds it; Nonce makes each write another one.
	Session string `json:"session"`
	Nonce   string `json:"nonce"`
}

// A Lock is held from Acquire to Release, or until it is lost.
type Lock struct {
	store  *store.Client
	key    string
	life   time.Duration
	state  State
	etag   string
	cancel context.CancelCauseFunc
	// stop ends the renewing, done says that it has ended.
	stop, done chan struct{}

	mu      sync.Mutex
	renewed time.Time
}

const sizeLimit = 64 << 10

// Read returns the state of a lock and who holds it, nil where nobody does.
func Read(ctx context.Context, from *store.Client, key string) (*State, error) {
	state, _, err := read(ctx, from, key)
	if err != nil || state == nil || state.Free {
		return nil, err
	}
	return state, nil
}

func read(ctx context.Context, from *store.Client, key string) (*State, store.Object, error) {
	object, err := from.Get(ctx, key, "", sizeLimit)
	if store.IsMissing(err) {
		return nil, object, nil
	}
	if err != nil {
		return nil, object, err
	}
	var state State
	if err := json.Unmarshal(object.Body, &state); err != nil {
		return nil, object, fmt.Errorf("the lock %s/%s cannot be read: %w; delete it if nobody is collecting", from.Bucket(), key, err)
	}
	return &state, object, nil
}

// Acquire takes the lock, or says who holds it. The context that it returns ends when the lock is lost.
// A holder that has not renewed it for as long as life is dead, if it still does not while it is watched for a third of that.
func Acquire(ctx context.Context, in *store.Client, key, holder string, life time.Duration) (*Lock, context.Context, error) {
	state, object, err := read(ctx, in, key)
	if err != nil {
		return nil, nil, err
	}
	condition := store.Absent
	if state != nil {
		condition = store.Unchanged(object.ETag)
	}
	if state != nil && !state.Free {
		if err := watch(ctx, in, key, *state, object, life); err != nil {
			return nil, nil, err
		}
	}
	l := &Lock{store: in, key: key, life: life, stop: make(chan struct{}), done: make(chan struct{})}
	l.state = State{Holder: holder, Since: in.Now(), Session: rand.Text()}
	err = l.write(ctx, condition)
	if store.IsConflict(err) {
		if now, _, readErr := read(ctx, in, key); readErr == nil && now != nil {
			return nil, nil, Held{*now}
		}
	}
	if err != nil {
		return nil, nil, err
	}
	ctx, l.cancel = context.WithCancelCause(ctx)
	go l.renew(ctx)
	return l, ctx, nil
}

func watch(ctx context.Context, in *store.Client, key string, state State, object store.Object, life time.Duration) error {
	if in.Now().Sub(object.Modified) <= life {
		return Held{state}
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(life / 3):
	}
	_, again, err := read(ctx, in, key)
	if err == nil && again.ETag != object.ETag {
		return Held{state}
	}
	return err
}

func (l *Lock) write(ctx context.Context, condition store.Condition) error {
	began := time.Now()
	l.state.Nonce = rand.Text()
	body, err := json.Marshal(l.state)
	if err != nil {
		return err
	}
	etag, err := l.store.Put(ctx, l.key, body, condition)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.etag, l.renewed = etag, began
	return nil
}

// rewrite writes over what this holder wrote before. An earlier write may have been made though its answer was lost.
func (l *Lock) rewrite(ctx context.Context) error {
	err := l.write(ctx, store.Unchanged(l.etag))
	if !store.IsConflict(err) {
		return err
	}
	state, object, readErr := read(ctx, l.store, l.key)
	if readErr != nil || state == nil || state.Session != l.state.Session {
		return err
	}
	return l.write(ctx, store.Unchanged(object.ETag))
}

// renew writes the lock again, six times in its life, and gives it up when that does not succeed for half of it.
func (l *Lock) renew(ctx context.Context) {
	defer close(l.done)
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.stop:
			return
		case <-time.After(l.life / 6):
		}
		attempt, cancel := context.WithDeadline(ctx, l.deadline())
		err := l.rewrite(attempt)
		cancel()
		if ctx.Err() == nil && (store.IsConflict(err) || l.Check() != nil) {
			l.cancel(ErrLost)
			return
		}
	}
}

func (l *Lock) deadline() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.renewed.Add(l.life / 2)
}

// Check fails where somebody else may hold the lock. It is to be called before each step that destroys something.
func (l *Lock) Check() error {
	if time.Now().After(l.deadline()) {
		return ErrLost
	}
	return nil
}

// Release lets the next one in.
func (l *Lock) Release(ctx context.Context) error {
	close(l.stop)
	<-l.done
	defer l.cancel(nil)
	l.state.Free = true
	err := l.rewrite(ctx)
	if store.IsConflict(err) {
		return ErrLost
	}
	return err
}
