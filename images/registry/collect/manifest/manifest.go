// Package manifest finds what a manifest needs.
package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"

	"github.com/opencontainers/go-digest"
)

// Needs are the digests that a manifest cannot be pulled without.
type Needs struct {
	Digests []digest.Digest `json:"d,omitempty"`
	// Children are those of them that are manifests themselves.
	Children []digest.Digest `json:"c,omitempty"`
}

const (
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
	ociManifest    = "application/vnd.oci.image.manifest.v1+json"
	ociIndex       = "application/vnd.oci.image.index.v1+json"
)

var (
	known  = map[string]bool{dockerManifest: true, dockerList: true, ociManifest: true, ociIndex: true}
	within = regexp.MustCompile(`sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128}`)
)

// notNeeded are the parts of a known manifest whose digests are of something else: what it signs, what it was built from.
var notNeeded = map[string]bool{"subject": true, "annotations": true}

// Parse reads a manifest. Of one of an unknown media type every digest is needed that is anywhere in its text.
func Parse(content []byte) (Needs, error) {
	var document map[string]any
	if err := json.Unmarshal(content, &document); err != nil {
		return Needs{}, fmt.Errorf("it is no JSON object: %w", err)
	}
	if document == nil {
		return Needs{}, errors.New("it is no JSON object")
	}
	found := finder{known: isKnown(document), digests: map[digest.Digest]bool{}, children: map[digest.Digest]bool{}}
	found.object(document)
	return Needs{listOf(found.digests), listOf(found.children)}, nil
}

func isKnown(document map[string]any) bool {
	if mediaType, named := document["mediaType"].(string); named {
		return known[mediaType]
	}
	_, config := document["config"]
	_, layers := document["layers"]
	_, manifests := document["manifests"]
	return (config && layers) || manifests
}

type finder struct {
	known             bool
	digests, children map[digest.Digest]bool
}

func (f finder) object(object map[string]any) {
	for name, value := range object {
		if !f.known {
			f.text(name)
		}
		if !f.known || !notNeeded[name] {
			f.value(value)
		}
	}
	text, _ := object["digest"].(string)
	mediaType, _ := object["mediaType"].(string)
	if child := digest.Digest(text); known[mediaType] && child.Validate() == nil {
		f.children[child] = true
	}
}

func (f finder) value(value any) {
	switch value := value.(type) {
	case string:
		f.text(value)
	case []any:
		for _, each := range value {
			f.value(each)
		}
	case map[string]any:
		f.object(value)
	}
}

func (f finder) text(text string) {
	for _, match := range within.FindAllString(text, -1) {
		f.digests[digest.Digest(match)] = true
	}
}

func listOf(set map[digest.Digest]bool) []digest.Digest {
	list := make([]digest.Digest, 0, len(set))
	for each := range set {
		list = append(list, each)
	}
	return list
}
