package collect

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"berth.invalid/images/registry/collect/layout"
	"berth.invalid/images/registry/collect/manifest"
	"berth.invalid/images/registry/collect/store"
	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"
)

const (
	listings = 8
	reads    = 16
	// manifestLimit is above distribution's own of 4 MiB.
	manifestLimit = 8 << 20
)

// A mark is what one pass over the bucket found: all blobs, and which of them are needed.
type mark struct {
	started time.Time
	blobs   map[digest.Digest]*blob
	needed  map[digest.Digest]struct{}
	// repositories and roots are how many there are; manifests counts one that several repositories have once.
	repositories, roots, manifests int

	mu sync.Mutex
	// doubt is why nothing may be removed by this mark. What it found to be needed is so nevertheless.
	doubt error
}

func (m *mark) distrust(why error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.doubt == nil {
		m.doubt = why
	}
}

// A root is a manifest of a repository. Roots are what a mark starts from; retention would take some of them away here.
type root struct {
	repository string
	digest     digest.Digest
}

// links are what a listing of the repositories gave.
type links struct {
	mu           sync.Mutex
	roots        []root
	repositories map[string]struct{}
	// aliases are digests of other algorithms, whose data is under the canonical one that the link names.
	aliases map[digest.Digest]string
}

func (c *collector) mark(ctx context.Context) (*mark, error) {
	made := &mark{started: c.store.Now(), needed: map[digest.Digest]struct{}{}}
	found := &links{repositories: map[string]struct{}{}, aliases: map[digest.Digest]string{}}
	blobs := &blobList{blobs: map[digest.Digest]*blob{}, layout: c.layout}
	err := list(ctx, func(ctx context.Context, group *errgroup.Group) error {
		return cmp.Or(c.listBlobs(ctx, group, blobs), c.listLinks(ctx, group, found))
	})
	if err != nil {
		return nil, err
	}
	made.blobs, made.repositories, made.roots = blobs.blobs, len(found.repositories), len(found.roots)
	c.progress("listed", "blobs", len(made.blobs), "manifests", made.roots)
	if err := c.follow(ctx, made, found); err != nil {
		return nil, err
	}
	if err := c.health(ctx); err != nil {
		made.distrust(err)
	}
	return made, nil
}

// list lets listings run side by side, and returns what the first that failed has failed of.
func list(ctx context.Context, start func(context.Context, *errgroup.Group) error) error {
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(listings)
	started := start(inner, group)
	return cmp.Or(group.Wait(), started)
}

func (c *collector) listBlobs(ctx context.Context, group *errgroup.Group, into *blobList) error {
	return c.store.Folders(ctx, c.layout.Blobs(), func(algorithm string) error {
		return c.store.Folders(ctx, algorithm, func(prefix string) error {
			group.Go(func() error { return into.list(ctx, c.store, prefix) })
			return nil
		})
	})
}

func (c *collector) listLinks(ctx context.Context, group *errgroup.Group, into *links) error {
	return c.store.Folders(ctx, c.layout.Repositories(), func(prefix string) error {
		group.Go(func() error {
			return c.store.Keys(ctx, prefix, func(key string) error {
				into.add(c.layout, key)
				return nil
			})
		})
		return nil
	})
}

func (l *links) add(of layout.Layout, key string) {
	link, ok := of.LinkOf(key)
	if !ok {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if link.Kind == layout.Revision {
		l.roots = append(l.roots, root{link.Repository, link.Digest})
		l.repositories[link.Repository] = struct{}{}
	} else if link.Digest.Algorithm() != digest.Canonical {
		l.aliases[link.Digest] = key
	}
}

// follow finds what the roots need. A child of an index is followed too, also where its own link is gone.
func (c *collector) follow(ctx context.Context, made *mark, found *links) error {
	of := map[digest.Digest]root{}
	for _, root := range found.roots {
		of[root.digest] = root
		made.needed[root.digest] = struct{}{}
	}
	made.manifests = len(of)
	next := make([]digest.Digest, 0, len(of))
	for manifest := range of {
		next = append(next, manifest)
	}
	seen := map[digest.Digest]struct{}{}
	for len(next) > 0 {
		all, err := c.needsOf(ctx, made, of, next)
		if err != nil {
			return err
		}
		next = nil
		for _, needs := range all {
			for _, each := range needs.Digests {
				made.needed[each] = struct{}{}
			}
			for _, child := range needs.Children {
				_, before := seen[child]
				if _, isRoot := of[child]; !isRoot && !before {
					seen[child] = struct{}{}
					next = append(next, child)
				}
			}
		}
	}
	return c.resolve(ctx, made, found.aliases)
}

func (c *collector) needsOf(
	ctx context.Context, made *mark, roots map[digest.Digest]root, of []digest.Digest,
) ([]manifest.Needs, error) {
	all := make([]manifest.Needs, len(of))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(reads)
	for i, each := range of {
		if needs, known := c.cache.get(each); known {
			all[i] = needs
			continue
		}
		group.Go(func() (err error) {
			root, isRoot := roots[each]
			if !isRoot {
				all[i], err = c.childNeeds(ctx, made, each)
				return err
			}
			all[i], err = c.rootNeeds(ctx, made, root)
			return err
		})
	}
	return all, group.Wait()
}

func (c *collector) rootNeeds(ctx context.Context, made *mark, of root) (manifest.Needs, error) {
	needs, problem, err := c.read(ctx, made, of.digest)
	if err != nil || problem == "" {
		return needs, err
	}
	// It may have been deleted since it was listed.
	exists, err := c.store.Exists(ctx, c.layout.Revision(of.repository, of.digest))
	if err != nil || !exists {
		return manifest.Needs{}, err
	}
	made.distrust(refuse("manifest %s@%s cannot be read, so what it needs is not known: %s. Push it again, or delete it",
		of.repository, of.digest, problem))
	return needs, nil
}

// childNeeds asks less of a child of an index than of a root: nobody can pull it by itself, and it may be missing.
func (c *collector) childNeeds(ctx context.Context, made *mark, child digest.Digest) (manifest.Needs, error) {
	if _, stored := made.blobs[child]; !stored {
		return manifest.Needs{}, nil
	}
	needs, _, err := c.read(ctx, made, child)
	return needs, err
}

// read returns what a manifest needs, or why it cannot be known; an error where the store does not answer.
func (c *collector) read(ctx context.Context, made *mark, of digest.Digest) (manifest.Needs, string, error) {
	version := ""
	if stored := made.blobs[of]; stored != nil && stored.hidden() {
		version = stored.version
	}
	object, err := c.store.Get(ctx, c.layout.Blob(of), version, manifestLimit)
	if store.IsMissing(err) {
		return manifest.Needs{}, "its data is missing", nil
	}
	if store.IsAnswer(err) {
		return manifest.Needs{}, err.Error(), nil
	}
	if err != nil {
		return manifest.Needs{}, "", err
	}
	if of.Algorithm().FromBytes(object.Body) != of {
		return manifest.Needs{}, "its data has another digest", nil
	}
	needs, err := manifest.Parse(object.Body)
	if err != nil {
		return manifest.Needs{}, err.Error(), nil
	}
	c.cache.put(of, needs)
	return needs, "", nil
}

// resolve adds the data that is needed under a digest of another algorithm.
func (c *collector) resolve(ctx context.Context, made *mark, aliases map[digest.Digest]string) error {
	for alias, key := range aliases {
		if _, needed := made.needed[alias]; !needed {
			continue
		}
		link, err := c.store.Get(ctx, key, "", 1<<10)
		if store.IsMissing(err) {
			continue
		}
		if err != nil {
			return err
		}
		target := digest.Digest(link.Body)
		if err := target.Validate(); err != nil {
			return refuse("link %s cannot be read: %v", key, err)
		}
		made.needed[target] = struct{}{}
	}
	return nil
}

// A refusal is a reason not to collect.
type refusal struct{ reason string }

func (r refusal) Error() string { return r.reason }

func refuse(format string, values ...any) error { return refusal{fmt.Sprintf(format, values...)} }
