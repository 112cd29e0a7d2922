package manifest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
)

var a, b, c = digest.FromString("a"), digest.FromString("b"), digest.FromString("c")

func TestWhatAManifestNeeds(t *testing.T) {
	list := `{"mediaType":"` + ociIndex + `","manifests":[{"mediaType":"` + ociManifest + `","digest":"%s"},` +
		`{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"%s"}],"subject":{"mediaType":"` + ociManifest + `","digest":"%s"}}`
	for name, is := range map[string]struct {
		text            string
		needs, children []digest.Digest
	}{
		"an image needs config and layers": {
			fmt.Sprintf(`{"config":{"digest":"%s"},"layers":[{"digest":"%s"}]}`, a, b), []digest.Digest{a, b}, nil},
		"what an image signs or was built from is not needed": {
			fmt.Sprintf(`{"mediaType":"%s","config":{"digest":"%s","annotations":{"base":"%s"}},"subject":{"digest":"%s"}}`,
				ociManifest, a, b, c), []digest.Digest{a}, nil},
		"a layer in an index is no child": {fmt.Sprintf(list, a, b, c), []digest.Digest{a, b}, []digest.Digest{a}},
		"an unknown type keeps every digest, wherever it is": {
			fmt.Sprintf(`{"mediaType":"x/y","subject":{"digest":"%s"},"%s":1,"z":["see %s\u002c"]}`, a, b, c), []digest.Digest{a, b, c}, nil},
		"schema 1 keeps its layers": {
			fmt.Sprintf(`{"schemaVersion":1,"fsLayers":[{"blobSum":"%s"}]}`, a), []digest.Digest{a}, nil},
		"names in another case count too": {
			fmt.Sprintf(`{"config":{},"layers":[],"Layers":[{"digest":"%s"}]}`, a), []digest.Digest{a}, nil},
	} {
		found, err := Parse([]byte(is.text))
		if err != nil || !equal(found.Digests, is.needs) || !equal(found.Children, is.children) {
			t.Errorf("%s: %v %v", name, found, err)
		}
	}
}

func equal(a, b []digest.Digest) bool {
	order := func(a, b digest.Digest) int { return strings.Compare(a.String(), b.String()) }
	return slices.Equal(slices.SortedFunc(slices.Values(a), order), slices.SortedFunc(slices.Values(b), order))
}

func TestWhatIsNoManifestIsAnError(t *testing.T) {
	for _, text := range []string{"", "no JSON", "[]", `"text"`, "null", `{"config":{}`} {
		if found, err := Parse([]byte(text)); err == nil {
			t.Errorf("%q: %v", text, found)
		}
	}
}
