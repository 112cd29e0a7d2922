// Package layout knows distribution's layout of a bucket: which key is whose data, and which is a link.
package layout

import (
	// Digests of these algorithms are known to be such.
	_ "crypto/sha256"
	_ "crypto/sha512"
	"strings"

	"github.com/opencontainers/go-digest"
)

// A Layout is that of a registry below a folder of a bucket.
type Layout struct{ base string }

// New takes the folder as distribution's setting rootdirectory has it.
func New(root string) Layout {
	folder := strings.Trim(root, "/")
	if folder != "" {
		folder += "/"
	}
	return Layout{folder + "docker/registry/v2/"}
}

// Blobs is what the keys of all data begin with.
func (l Layout) Blobs() string { return l.base + "blobs/" }

// Repositories is what the keys of all links begin with.
func (l Layout) Repositories() string { return l.base + "repositories/" }

// Blob is the key of a blob's data.
func (l Layout) Blob(of digest.Digest) string {
	hex := of.Encoded()
	return l.Blobs() + of.Algorithm().String() + "/" + hex[:2] + "/" + hex + "/data"
}

// Revision is the key of the link that makes a manifest one of a repository's.
func (l Layout) Revision(repository string, manifest digest.Digest) string {
	return l.Repositories() + repository + "/_manifests/revisions/" + manifest.Algorithm().String() + "/" + manifest.Encoded() + "/link"
}

// BlobOf is the digest whose data a key holds.
func (l Layout) BlobOf(key string) (digest.Digest, bool) {
	rest, ok := strings.CutPrefix(key, l.Blobs())
	parts := strings.Split(rest, "/")
	if !ok || len(parts) != 4 || parts[3] != "data" {
		return "", false
	}
	found := digest.Digest(parts[0] + ":" + parts[2])
	return found, found.Validate() == nil
}

// A Kind is what a link is for.
type Kind int

// A Revision link makes a manifest one of a repository's, a Layer link a blob.
const (
	Revision Kind = iota
	Layer
)

// A Link says that a repository has a manifest or a blob.
type Link struct {
	Kind       Kind
	Repository string
	Digest     digest.Digest
}

var kinds = map[string]Kind{"_manifests/revisions/": Revision, "_layers/": Layer}

// LinkOf is the link that a key holds; those of tags are none here.
func (l Layout) LinkOf(key string) (Link, bool) {
	rest, ok := strings.CutPrefix(key, l.Repositories())
	if !ok {
		return Link{}, false
	}
	// No part of a repository's name begins with an underscore.
	repository, rest, ok := strings.Cut(rest, "/_")
	if !ok {
		return Link{}, false
	}
	for folder, kind := range kinds {
		parts := strings.Split(strings.TrimPrefix("_"+rest, folder), "/")
		if !strings.HasPrefix("_"+rest, folder) || len(parts) != 3 || parts[2] != "link" {
			continue
		}
		found := digest.Digest(parts[0] + ":" + parts[1])
		return Link{kind, repository, found}, found.Validate() == nil
	}
	return Link{}, false
}
