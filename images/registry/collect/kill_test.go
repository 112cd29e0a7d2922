package collect

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"berth.invalid/images/registry/collect/store"
	"github.com/opencontainers/go-digest"
)

// killVariable holds what a collector that is to be killed needs: its configuration, and after how many steps it dies.
const killVariable = "BERTH_TEST_COLLECT_KILL"

type killing struct {
	Config Config
	After  int
	Undo   string
}

// collectUntilKilled is one run in a process of its own that ends in the middle.
func collectUntilKilled() {
	var asked killing
	err := json.Unmarshal([]byte(os.Getenv(killVariable)), &asked)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitFailed)
	}
	c, err := newCollector(asked.Config, nil, io.Discard)
	if err == nil {
		steps := 0
		defer func() { fmt.Println(steps) }()
		c.step = func(step string) {
			if steps++; steps == asked.After {
				fmt.Println(step)
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
		}
		if asked.Undo != "" {
			_, err = c.undo(context.Background(), asked.Undo)
		} else {
			_, err = c.run(context.Background(), options{})
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(ExitCode(err))
	}
}

// killed makes a run that is killed after a number of steps, and says which was the last;
// without a number it comes to its end, and says how many there are.
func (b *bucket) killed(asked killing) string {
	b.Helper()
	asked.Config = b.config
	text, err := json.Marshal(asked)
	b.must(err)
	process := exec.Command(os.Args[0])
	process.Env = append(os.Environ(), killVariable+"="+string(text))
	process.Stderr = os.Stderr
	step, err := process.Output()
	if asked.After == 0 {
		b.must(err)
		return strings.TrimSpace(string(step))
	}
	if status, ok := process.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		b.Fatalf("it was not killed: %v", err)
	}
	return strings.TrimSpace(string(step))
}

// free lets the next one in after a collector was killed: what waiting for the lock's end would do.
func (b *bucket) free() { b.put(lockKey, []byte(`{"free":true}`)) }

// everything leaves a bucket in which the next run has all kinds of work, and says what that run has to leave.
func everything(b *bucket) (kept, purged []digest.Digest) {
	b.Helper()
	b.config.PurgeAfter = 0
	kept, old := b.image("team/app", "kept", 1), b.image("team/old", "old", 1)
	again, gone := b.image("team/again", "again", 1), b.image("team/gone", "gone", 1)
	b.unlink("team/old", old[0])
	b.unlink("team/gone", gone[0])
	b.run(options{})
	b.hide(old...)
	b.hide(again...)
	return append(kept, again...), append(old, gone...)
}

func TestAKilledCollectorIsFinishedByTheNext(t *testing.T) {
	first := newBucket(t)
	everything(first)
	first.tick()
	steps, err := strconv.Atoi(first.killed(killing{}))
	if err != nil || steps < 15 {
		t.Fatalf("a run has %d steps: %v", steps, err)
	}
	for after := 1; after <= steps; after++ {
		t.Run(strconv.Itoa(after), func(t *testing.T) {
			b := newBucket(t)
			kept, gone := everything(b)
			b.tick()
			t.Logf("killed after: %s", b.killed(killing{After: after}))
			b.expect(true, kept[:3]...)
			b.free()
			b.run(options{})
			b.expect(true, kept...)
			// What the killed run did not come to purge is due in the next.
			b.run(options{})
			b.expect(true, kept...)
			b.purged(gone...)
			b.verified()
		})
	}
}

func TestAKilledUndoIsFinishedByTheNext(t *testing.T) {
	for after := 1; after <= 5; after++ {
		t.Run(strconv.Itoa(after), func(t *testing.T) {
			b := newBucket(t)
			gone := b.image("team/gone", "gone", 1)
			b.unlink("team/gone", gone[0])
			removed := b.twoRuns()
			t.Logf("killed after: %s", b.killed(killing{After: after, Undo: removed.Run}))
			b.free()
			_, err := b.collector().undo(context.Background(), removed.Run)
			b.must(err)
			b.expect(true, gone...)
		})
	}
}

// hide sets delete markers as a run would.
func (b *bucket) hide(blobs ...digest.Digest) {
	b.Helper()
	for _, of := range blobs {
		b.must(b.store.Delete(context.Background(), []store.Name{{Key: b.collector().layout.Blob(of)}}))
	}
}

func (b *bucket) purged(blobs ...digest.Digest) {
	b.Helper()
	for _, of := range blobs {
		if found := b.versions(of); len(found) != 0 {
			b.Errorf("%s was to be purged and has %+v", of, found)
		}
	}
}

func (b *bucket) verified() {
	b.Helper()
	state, err := b.collector().loadState(context.Background())
	b.must(err)
	if len(state.Sweeping) > 0 {
		b.Errorf("nobody has verified %v", state.Sweeping)
	}
}
