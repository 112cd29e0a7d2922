package layout

import (
	"testing"

	"github.com/opencontainers/go-digest"
)

var of = digest.FromString("content")

func TestAKeyIsReadAsItWasMade(t *testing.T) {
	for root, base := range map[string]string{"/": "", "": "", "/registry": "registry/", "a/b/": "a/b/"} {
		l := New(root)
		key := base + "docker/registry/v2/blobs/sha256/" + of.Encoded()[:2] + "/" + of.Encoded() + "/data"
		if found, ok := l.BlobOf(key); l.Blob(of) != key || !ok || found != of {
			t.Errorf("%q: %s, %s", root, l.Blob(of), found)
		}
		want := Link{Revision, "team/app", of}
		if found, ok := l.LinkOf(l.Revision("team/app", of)); !ok || found != want {
			t.Errorf("%q: %+v", root, found)
		}
	}
}

func TestOtherKeysAreNeitherDataNorLinks(t *testing.T) {
	l := New("/registry")
	base := "registry/docker/registry/v2/"
	for _, key := range []string{
		"docker/registry/v2/blobs/sha256/aa/" + of.Encoded() + "/data",
		base + "blobs/sha256/aa/short/data",
		base + "blobs/sha256/aa/" + of.Encoded() + "/other",
		base + "repositories/app/_uploads/1/data",
		base + "repositories/app/_manifests/tags/latest/current/link",
		base + "repositories/app/_manifests/tags/latest/index/sha256/" + of.Encoded() + "/link",
		base + "repositories/app/_manifests/revisions/sha256/" + of.Encoded() + "/other",
	} {
		if found, ok := l.BlobOf(key); ok {
			t.Errorf("%s: %s", key, found)
		}
		if found, ok := l.LinkOf(key); ok {
			t.Errorf("%s: %+v", key, found)
		}
	}
	if found, ok := l.LinkOf(base + "repositories/app/_layers/sha256/" + of.Encoded() + "/link"); !ok || found.Kind != Layer {
		t.Errorf("%+v", found)
	}
}
