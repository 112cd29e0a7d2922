package collect

import (
	"context"
	"testing"
)

func TestWhatNothingNeedsIsHiddenAfterTwoMarks(t *testing.T) {
	b := newBucket(t)
	kept, gone := b.image("team/app", "kept", 2), b.image("team/old", "gone", 2)
	b.unlink("team/old", gone[0])
	first := b.run(options{})
	if first.Phase != marked || first.Candidates != 4 || first.Deleted != 0 {
		t.Errorf("%+v", first)
	}
	b.expect(true, gone...)
	second := b.run(options{})
	if second.Phase != swept || second.Deleted != 4 || second.Undeleted != 0 || second.Reclaimable == 0 {
		t.Errorf("%+v", second)
	}
	b.expect(false, gone...)
	b.expect(true, kept...)
	state, err := b.collector().status(context.Background())
	b.must(err)
	if state.Lock != nil || len(state.Runs) != 2 || state.Runs[0].Run != second.Run || state.Candidates.Blobs != 0 {
		t.Errorf("%+v", state)
	}
}

func TestUndoBringsBackWhatARunRemoved(t *testing.T) {
	b := newBucket(t)
	gone := b.image("team/old", "gone", 2)
	b.unlink("team/old", gone[0])
	removed := b.twoRuns()
	b.expect(false, gone...)
	done, err := b.collector().undo(context.Background(), removed.Run)
	b.must(err)
	if done.Undeleted != 4 || done.Gone != 0 {
		t.Errorf("%+v", done)
	}
	b.expect(true, gone...)
}

func TestAPurgeRemovesHiddenVersionsForGood(t *testing.T) {
	b := newBucket(t)
	kept, gone := b.image("team/app", "kept", 2), b.image("team/old", "gone", 2)
	b.unlink("team/old", gone[0])
	removed := b.twoRuns()
	b.config.PurgeAfter = 0
	done := b.run(options{})
	if done.Phase != purged || done.Purged != 4 || done.PurgedBytes != removed.CondemnedBytes || done.Reclaimable != 0 {
		t.Errorf("%+v", done)
	}
	for _, of := range gone {
		if found := b.versions(of); len(found) != 0 {
			t.Errorf("%s still has %+v", of, found)
		}
	}
	b.expect(true, kept...)
	undone, err := b.collector().undo(context.Background(), removed.Run)
	if undone.Undeleted != 0 || (err == nil && undone.Gone != 4) {
		t.Errorf("%+v %v", undone, err)
	}
}
