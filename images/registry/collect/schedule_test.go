package collect

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"
)

// lines are what a collector prints, for another goroutine to read.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (b *bucket) until(what string, is func() bool) {
	b.Helper()
	for range 600 {
		if is() {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	b.Fatalf("not within a minute: %s", what)
}

// scheduled starts collectors that follow the timetable; the function that it returns stops them.
func (b *bucket) scheduled(printed ...*lines) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for _, each := range printed {
		c := b.collector()
		c.out = each
		all.Go(func() {
			if err := c.schedule(ctx); err != nil {
				b.Errorf("a collector that is stopped: %v", err)
			}
		})
	}
	return func() {
		cancel()
		all.Wait()
	}
}

func TestADaysRunIsMadeByOneCollectorOnly(t *testing.T) {
	b := newBucket(t)
	b.image("team/app", "any", 1)
	b.config.At = b.store.Now().Add(-time.Minute).Format("15:04")
	var one, two lines
	stop := b.scheduled(&one, &two)
	b.until("a run", func() bool { return strings.Contains(one.String()+two.String(), `"event":"result"`) })
	stop()
	again := b.scheduled(&one)
	time.Sleep(time.Second)
	again()
	state, err := b.collector().status(context.Background())
	b.must(err)
	if len(state.Runs) != 1 || state.Runs[0].Trigger != "schedule" || state.Lock != nil {
		t.Errorf("%+v", state)
	}
}

func TestASweepThatWasStoppedIsVerifiedBySchedule(t *testing.T) {
	b := newBucket(t)
	gone := b.image("team/old", "gone", 1)
	b.unlink("team/old", gone[0])
	b.run(options{})
	b.tick()
	ctx, cancel := context.WithCancel(context.Background())
	c := b.collector()
	c.step = func(done string) {
		if done == "removed" {
			cancel()
		}
	}
	if _, err := c.run(ctx, options{}); err == nil {
		t.Fatal("it was not stopped")
	}
	b.link("team/old", gone[0])
	// Not due for another hour.
	b.config.At = b.store.Now().Add(time.Hour).Format("15:04")
	var printed lines
	stop := b.scheduled(&printed)
	b.until("a verification", func() bool { return b.has(gone[2]) })
	b.until("its end", func() bool {
		state, err := b.collector().loadState(context.Background())
		return err == nil && len(state.Sweeping) == 0
	})
	stop()
	b.expect(true, gone...)
}
