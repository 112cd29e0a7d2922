package collect

import (
	"context"
	"sync"
	"time"

	"berth.invalid/images/registry/collect/layout"
	"berth.invalid/images/registry/collect/store"
	"github.com/opencontainers/go-digest"
)

// A blob is all that the bucket has of one digest.
type blob struct {
	// version, bytes and modified are of the newest data; without any, version is empty.
	version  string
	bytes    int64
	modified time.Time
	// markers are the delete markers above it, the newest of which is of hiddenAt.
	markers  []string
	hiddenAt time.Time
	older    []older
}

// older is a version below the newest data: the same content, as it has the same name, or a marker.
type older struct {
	version string
	marker  bool
	bytes   int64
}

// hidden says whether the blob is gone for all who do not ask for versions.
func (b *blob) hidden() bool { return len(b.markers) > 0 }

// whole says whether it can be pulled.
func (b *blob) whole() bool { return b.version != "" && !b.hidden() }

// add takes the next version of a listing, newest first.
func (b *blob) add(version store.Version) {
	switch {
	case b.version != "":
		b.older = append(b.older, older{version.ID, version.Marker, version.Bytes})
	case version.Marker:
		if len(b.markers) == 0 {
			b.hiddenAt = version.Modified
		}
		b.markers = append(b.markers, version.ID)
	default:
		b.version, b.bytes, b.modified = version.ID, version.Bytes, version.Modified
	}
}

// reclaimable is how many bytes a purge of all that is not visible would free.
func (b *blob) reclaimable() int64 {
	var sum int64
	if b.hidden() {
		sum = b.bytes
	}
	for _, each := range b.older {
		sum += each.bytes
	}
	return sum
}

// A blobList collects the blobs of listings that run side by side.
type blobList struct {
	mu     sync.Mutex
	blobs  map[digest.Digest]*blob
	layout layout.Layout
}

func (l *blobList) list(ctx context.Context, in *store.Client, prefix string) error {
	return in.Versions(ctx, prefix, func(version store.Version) error {
		of, ok := l.layout.BlobOf(version.Key)
		if !ok {
			return nil
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		known := l.blobs[of]
		if known == nil {
			known = &blob{}
			l.blobs[of] = known
		}
		known.add(version)
		return nil
	})
}

func (m *mark) needs(of digest.Digest) bool {
	_, needed := m.needed[of]
	return needed
}

// visible is how many blobs can be pulled, and how many bytes they have.
func (m *mark) visible() (count int, bytes int64) {
	for _, blob := range m.blobs {
		if blob.whole() {
			count++
			bytes += blob.bytes
		}
	}
	return count, bytes
}

func (m *mark) reclaimable() (bytes int64) {
	for _, blob := range m.blobs {
		bytes += blob.reclaimable()
	}
	return bytes
}
