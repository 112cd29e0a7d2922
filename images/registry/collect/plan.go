package collect

import (
	"slices"
	"strings"
	"time"

	"berth.invalid/images/registry/collect/layout"
	"berth.invalid/images/registry/collect/store"
	"github.com/opencontainers/go-digest"
)

// A candidate is a blob that no mark has needed since a time.
type candidate struct {
	Digest  digest.Digest `json:"digest"`
	Version string        `json:"version"`
	Bytes   int64         `json:"bytes"`
	Since   time.Time     `json:"since"`
}

// candidates are the blobs that are old enough and not needed. One that was so in the mark before, with the same version,
// has been since then.
func (m *mark) candidates(before []candidate, minimumAge time.Duration) []candidate {
	known := make(map[digest.Digest]candidate, len(before))
	for _, each := range before {
		known[each.Digest] = each
	}
	var found []candidate
	for of, blob := range m.blobs {
		if !blob.whole() || m.needs(of) || blob.modified.After(m.started.Add(-minimumAge)) {
			continue
		}
		since := m.started
		if earlier, ok := known[of]; ok && earlier.Version == blob.version {
			since = earlier.Since
		}
		found = append(found, candidate{of, blob.version, blob.bytes, since})
	}
	slices.SortFunc(found, func(a, b candidate) int { return strings.Compare(string(a.Digest), string(b.Digest)) })
	return found
}

// condemned divides candidates into those that a mark at least a grace period ago did not need either, and the rest.
func (m *mark) condemned(candidates []candidate, grace time.Duration) (condemned, waiting []candidate) {
	for _, each := range candidates {
		// The mark that found it is another one than this, whatever the grace period.
		if each.Since.Before(m.started) && !each.Since.After(m.started.Add(-grace)) {
			condemned = append(condemned, each)
		} else {
			waiting = append(waiting, each)
		}
	}
	return condemned, waiting
}

// restorable are the markers above what is needed.
func (m *mark) restorable(in layout.Layout) (markers []store.Name, blobs int) {
	for of, blob := range m.blobs {
		if blob.hidden() && blob.version != "" && m.needs(of) {
			markers = append(markers, names(in.Blob(of), blob.markers)...)
			blobs++
		}
	}
	return markers, blobs
}

func names(key string, versions []string) []store.Name {
	made := make([]store.Name, len(versions))
	for i, version := range versions {
		made[i] = store.Name{Key: key, Version: version}
	}
	return made
}

// A purge is what is removed for good: the data first, then the markers above it. After a stop between the two there is a
// marker above nothing, which the next purge removes.
type purge struct {
	data, markers []store.Name
	blobs         int
	bytes         int64
}

// purge finds what has been hidden or replaced for long enough. Versions are named, so what comes in between is not touched.
func (m *mark) purge(in layout.Layout, after time.Duration) purge {
	var found purge
	limit := m.started.Add(-after)
	for of, blob := range m.blobs {
		key, bytes := in.Blob(of), int64(0)
		gone := blob.hidden() && (blob.version == "" || (!blob.hiddenAt.After(limit) && !m.needs(of)))
		if gone {
			found.markers = append(found.markers, names(key, blob.markers)...)
			if blob.version != "" {
				found.data = append(found.data, store.Name{Key: key, Version: blob.version})
				bytes += blob.bytes
			}
		}
		if gone || (blob.whole() && !blob.modified.After(limit)) {
			for _, each := range blob.older {
				name := store.Name{Key: key, Version: each.version}
				if each.marker {
					found.markers = append(found.markers, name)
				} else {
					found.data = append(found.data, name)
				}
				bytes += each.bytes
			}
		}
		if bytes > 0 {
			found.blobs++
			found.bytes += bytes
		}
	}
	return found
}

func bytesOf(candidates []candidate) (sum int64) {
	for _, each := range candidates {
		sum += each.Bytes
	}
	return sum
}

// shrinkFloor is how many entries may vanish from a list whatever its length: an image of several platforms has as many.
const shrinkFloor = 10

// shrunk says whether a list has lost more than it may.
func shrunk(before, now, percent int) bool {
	lost := before - now
	return lost > shrinkFloor && lost*100 > before*percent
}

// guard says why a mark, or what it condemns, is not to be believed without a person's word.
func (c Config) guard(before summary, now *mark, condemned []candidate, confirmed []int) error {
	confirm := func(number int) bool { return slices.Contains(confirmed, number) }
	for _, list := range []struct {
		of          string
		before, now int
	}{{"repositories", before.Repositories, now.repositories}, {"manifests", before.Roots, now.roots}} {
		if shrunk(list.before, list.now, c.MaxShrinkPercent) && !confirm(now.roots) {
			return refuse("the list of %s fell from %d to %d since %s, by more than %d %%: either much was deleted, or the store does "+
				"not list all that it has. If it was deleted, confirm the %d manifests that are left with --confirm %d",
				list.of, list.before, list.now, before.Time.Format(time.RFC3339), c.MaxShrinkPercent, now.roots, now.roots)
		}
	}
	_, all := now.visible()
	bytes := bytesOf(condemned)
	if float64(bytes)*100 > float64(all)*float64(c.MaxCondemnedPercent) && !confirm(len(condemned)) {
		return refuse("%d blobs with %d of %d bytes would be removed, more than %d %%. If that is right, confirm their number "+
			"with --confirm %d", len(condemned), bytes, all, c.MaxCondemnedPercent, len(condemned))
	}
	return nil
}
