package main

import (
	"bytes"
	"context"
	"strings"

	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	storagemiddleware "github.com/distribution/distribution/v3/registry/storage/driver/middleware"
)

// unchangedLinks leaves out writing a link that says already what it is to say. Distribution's proxy writes a tag's links on each
// pull; a store that takes no writes for a while would make the pull of an image that is cached wait for it, and fail.
type unchangedLinks struct {
	storagedriver.StorageDriver
}

// PutContent implements storagedriver.StorageDriver.
func (u unchangedLinks) PutContent(ctx context.Context, path string, content []byte) error {
	if strings.HasSuffix(path, "/link") {
		if stored, err := u.GetContent(ctx, path); err == nil && bytes.Equal(stored, content) {
			return nil
		}
	}
	return u.StorageDriver.PutContent(ctx, path, content)
}

// The name is an older one's: an image that is pinned knows a configuration by it.
func init() {
	err := storagemiddleware.Register("berth-unchanged", func(
		_ context.Context, driver storagedriver.StorageDriver, _ map[string]any,
	) (storagedriver.StorageDriver, error) {
		kept := newBoundedStorage(unchangedLinks{driver})
		opened.Store(kept)
		return kept, nil
	})
	if err != nil {
		panic(err)
	}
}
