package main

import (
	"context"
	"errors"
	"testing"

	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/distribution/distribution/v3/registry/storage/driver/inmemory"
)

type readOnly struct{ storagedriver.StorageDriver }

func (readOnly) PutContent(context.Context, string, []byte) error {
	return errors.New("no writes for a while")
}

func TestALinkThatSaysWhatItIsToSayIsNotWrittenAgain(t *testing.T) {
	ctx, below := context.Background(), inmemory.New()
	link := "/docker/registry/v2/repositories/a/_manifests/tags/1/current/link"
	if err := (unchangedLinks{below}).PutContent(ctx, link, []byte("sha256:1")); err != nil {
		t.Fatal(err)
	}
	frozen := unchangedLinks{readOnly{below}}
	if err := frozen.PutContent(ctx, link, []byte("sha256:1")); err != nil {
		t.Errorf("an unchanged link was written: %v", err)
	}
	for path, content := range map[string]string{link: "sha256:2", "/other/data": "sha256:1"} {
		if err := frozen.PutContent(ctx, path, []byte(content)); err == nil {
			t.Errorf("%s was not written", path)
		}
	}
}
