package collect

import (
	"context"
	"sync"

	"berth.invalid/images/registry/collect/manifest"
	"github.com/opencontainers/go-digest"
)

// parser is raised when manifests are read in another way than before.
const parser = 1

// A cache knows what manifests need, from this run and those before: what is under a digest never changes.
type cache struct {
	mu     sync.Mutex
	known  map[digest.Digest]manifest.Needs
	used   map[digest.Digest]manifest.Needs
	unread bool
}

type storedCache struct {
	Parser    int                              `json:"parser"`
	Manifests map[digest.Digest]manifest.Needs `json:"manifests"`
}

// loadCache takes over what is stored. Without it manifests are read again, so that no fault of it matters.
func (c *collector) loadCache(ctx context.Context) {
	var stored storedCache
	if err := c.load(ctx, cacheKey, &stored); err != nil || stored.Parser != parser {
		stored.Manifests = nil
	}
	c.cache = &cache{known: stored.Manifests, used: map[digest.Digest]manifest.Needs{}}
}

func (c *collector) saveCache(ctx context.Context) error {
	if !c.cache.unread && len(c.cache.known) == len(c.cache.used) {
		return nil
	}
	return c.save(ctx, cacheKey, storedCache{parser, c.cache.used})
}

func (k *cache) get(of digest.Digest) (manifest.Needs, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	needs, found := k.used[of]
	if !found {
		if needs, found = k.known[of]; found {
			k.used[of] = needs
		}
	}
	return needs, found
}

func (k *cache) put(of digest.Digest, needs manifest.Needs) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.used[of], k.unread = needs, true
}
