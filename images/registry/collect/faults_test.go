package collect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"berth.invalid/images/registry/collect/lock"
	"berth.invalid/images/registry/collect/store"
	"github.com/opencontainers/go-digest"
)

const octets = "application/octet-stream"

// A client pushes as docker does.
type client struct {
	*bucket
	registry http.Handler
}

func (c client) ask(method, path, mediaType string, body []byte) *httptest.ResponseRecorder {
	c.Helper()
	request := httptest.NewRequest(method, path, bytes.NewReader(body))
	request.Header.Set("Content-Type", mediaType)
	request.Header.Set("Accept", imageType)
	answer := httptest.NewRecorder()
	c.registry.ServeHTTP(answer, request)
	return answer
}

func (c client) want(status int, method, path, mediaType string, body []byte) {
	c.Helper()
	if answer := c.ask(method, path, mediaType, body); answer.Code != status {
		c.Fatalf("%s %s: %d %s", method, path, answer.Code, answer.Body)
	}
}

// upload pushes a blob if the registry has not got it, and says whether it had.
func (c client) upload(repository string, content []byte) (digest.Digest, bool) {
	c.Helper()
	of := digest.FromBytes(content)
	if c.ask("HEAD", "/v2/"+repository+"/blobs/"+of.String(), octets, nil).Code == http.StatusOK {
		return of, true
	}
	begun := c.ask("POST", "/v2/"+repository+"/blobs/uploads/", octets, nil)
	location := strings.TrimPrefix(begun.Header().Get("Location"), "http://example.com")
	c.want(http.StatusCreated, "PUT", location+"&digest="+of.String(), octets, content)
	return of, false
}

const imageType = "application/vnd.oci.image.manifest.v1+json"

func (c client) push(repository, tag string, contents ...string) (manifest digest.Digest, layers []digest.Digest) {
	c.Helper()
	for _, content := range contents {
		of, _ := c.upload(repository, []byte(content))
		layers = append(layers, of)
	}
	body := imageManifest(layers[0], layers[1:]...)
	c.want(http.StatusCreated, "PUT", "/v2/"+repository+"/manifests/"+tag, imageType, body)
	return digest.FromBytes(body), layers
}

func (c client) delete(repository string, manifest digest.Digest) {
	c.Helper()
	c.want(http.StatusAccepted, "DELETE", "/v2/"+repository+"/manifests/"+manifest.String(), "", nil)
}

func (c client) pull(repository, tag string, layers ...digest.Digest) {
	c.Helper()
	c.want(http.StatusOK, "GET", "/v2/"+repository+"/manifests/"+tag, "", nil)
	for _, layer := range layers {
		c.want(http.StatusOK, "GET", "/v2/"+repository+"/blobs/"+layer.String(), "", nil)
	}
}

func newClient(t *testing.T) client {
	b := newBucket(t)
	return client{b, b.registry()}
}

// during makes a run that is interrupted by something after the first step of a name.
func (b *bucket) during(asked options, step string, do func()) result {
	b.Helper()
	b.tick()
	c := b.collector()
	var once sync.Once
	c.step = func(done string) {
		if strings.HasPrefix(done, step) {
			once.Do(do)
		}
	}
	done, err := c.run(context.Background(), asked)
	b.must(err)
	return done
}

func TestAnImageThatIsDeletedIsCollectedAndCanBePushedAgain(t *testing.T) {
	c := newClient(t)
	manifest, layers := c.push("team/app", "v1", "config", "layer")
	c.delete("team/app", manifest)
	if done := c.twoRuns(); done.Deleted != 3 {
		t.Errorf("%+v", done)
	}
	c.expect(false, append(layers, manifest)...)
	c.push("team/app", "v1", "config", "layer")
	c.pull("team/app", "v1", layers...)
	c.config.PurgeAfter = 0
	if done := c.run(options{}); done.Purged != 3 {
		t.Errorf("%+v", done)
	}
	for _, of := range append(layers, manifest) {
		if found := c.versions(of); len(found) != 1 || found[0].Marker {
			t.Errorf("beside the current version there is more: %+v", found)
		}
	}
	c.pull("team/app", "v1", layers...)
}

func TestALayerThatIsPushedAgainBetweenTheMarksStays(t *testing.T) {
	c := newClient(t)
	manifest, layers := c.push("team/app", "v1", "config", "layer")
	c.delete("team/app", manifest)
	c.run(options{})
	c.push("team/app", "v2", "another config", "layer")
	c.run(options{})
	c.pull("team/app", "v2", layers[1])
	c.expect(false, layers[0])
}

func TestALayerThatAPushHasSeenBeforeTheSweepIsBroughtBack(t *testing.T) {
	c := newClient(t)
	manifest, layers := c.push("team/app", "v1", "config", "layer")
	c.delete("team/app", manifest)
	c.run(options{})
	body := imageManifest(layers[0], layers[1])
	done := c.during(options{}, "removed", func() {
		// The push has made sure of its layers; its links are written after the sweep.
		c.blob(body)
		c.link("team/app", digest.FromBytes(body))
		c.expect(false, layers...)
	})
	if done.Deleted != 3 || done.Undeleted == 0 {
		t.Errorf("%+v", done)
	}
	c.expect(true, layers...)
}

func TestACondemnedBlobThatIsMountedElsewhereStays(t *testing.T) {
	c := newClient(t)
	manifest, layers := c.push("team/app", "v1", "config", "layer")
	c.delete("team/app", manifest)
	c.run(options{})
	for _, layer := range layers {
		c.want(http.StatusCreated, "POST", "/v2/other/app/blobs/uploads/?mount="+layer.String()+"&from=team/app", octets, nil)
	}
	c.want(http.StatusCreated, "PUT", "/v2/other/app/manifests/v1", imageType, imageManifest(layers[0], layers[1:]...))
	c.run(options{})
	c.pull("other/app", "v1", layers...)
}

func TestABlobThatWasRemovedIsNotMountedButUploaded(t *testing.T) {
	c := newClient(t)
	manifest, layers := c.push("team/app", "v1", "config", "layer")
	c.delete("team/app", manifest)
	c.twoRuns()
	c.want(http.StatusAccepted, "POST", "/v2/other/app/blobs/uploads/?mount="+layers[1].String()+"&from=team/app", octets, nil)
	if _, had := c.upload("team/app", []byte("layer")); had {
		t.Error("the registry promises a blob that it has not got")
	}
}

func TestATagThatMovesBetweenTheMarksLosesNothing(t *testing.T) {
	c := newClient(t)
	_, before := c.push("team/app", "latest", "config 1", "layer 1")
	c.run(options{})
	_, after := c.push("team/app", "latest", "config 2", "layer 2")
	c.run(options{})
	c.pull("team/app", "latest", append(before, after...)...)
}

func TestAnUploadUnderWayKeepsItsBlobsForTheMinimumAge(t *testing.T) {
	c := newClient(t)
	c.config.MinimumAge = Duration(time.Hour)
	of, _ := c.upload("team/app", []byte("a layer whose manifest comes later"))
	c.run(options{now: true})
	c.expect(true, of)
}

func TestAnUploadLeavesNoVersionsBehind(t *testing.T) {
	c := newClient(t)
	c.push("team/app", "v1", "config", "layer")
	c.must(c.store.Versions(context.Background(), "registry/", func(version store.Version) error {
		if strings.Contains(version.Key, "_uploads") {
			t.Errorf("%+v", version)
		}
		return nil
	}))
}

func TestAnIndexMayLackChildrenAndKeepsThoseItHas(t *testing.T) {
	b := newBucket(t)
	child := b.image("team/app", "child", 1)
	b.unlink("team/app", child[0])
	missing := digest.FromString("never pushed")
	index := b.blob(fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[
		{"mediaType":%q,"digest":%q},{"mediaType":%q,"digest":%q}]}`, imageType, child[0], imageType, missing))
	b.link("team/app", index)
	b.twoRuns()
	b.expect(true, append(child, index)...)
}

func TestAnUnknownMediaTypeKeepsEveryDigestInIt(t *testing.T) {
	b := newBucket(t)
	parts := b.image("team/app", "parts", 2)
	b.unlink("team/app", parts[0])
	artifact := b.blob(fmt.Appendf(nil, `{"mediaType":"application/vnd.example+json","parts":{"a":[%q,"see %s"]},"subject":{"digest":%q}}`,
		parts[1], parts[2], parts[3]))
	b.link("team/artifact", artifact)
	b.twoRuns()
	b.expect(true, append(parts[1:], artifact)...)
	b.expect(false, parts[0])
}

func TestABlobThatIsNeededByAnotherAlgorithmsDigestStays(t *testing.T) {
	b := newBucket(t)
	layer := b.blob([]byte("a layer"))
	alias := digest.SHA512.FromString("a layer")
	b.put(b.collector().layout.Repositories()+"team/app/_layers/sha512/"+alias.Encoded()+"/link", []byte(layer))
	b.manifest("team/app", b.blob([]byte("{}")), alias)
	b.twoRuns()
	b.expect(true, layer)
}

func TestAManifestThatCannotBeReadStopsTheCollection(t *testing.T) {
	for name, spoil := range map[string]func(*bucket) digest.Digest{
		"its data is missing":  func(*bucket) digest.Digest { return digest.FromString("missing") },
		"it is no JSON object": func(b *bucket) digest.Digest { return b.blob([]byte("no JSON")) },
		"its data has another digest": func(b *bucket) digest.Digest {
			of := digest.FromString("true content")
			b.put(b.collector().layout.Blob(of), []byte("{}"))
			return of
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBucket(t)
			gone := b.image("team/old", "gone", 1)
			b.unlink("team/old", gone[0])
			b.run(options{})
			spoiled := spoil(b)
			b.link("team/app", spoiled)
			reason := b.refusal(options{})
			if !strings.Contains(reason, "team/app@"+spoiled.String()) || !strings.Contains(reason, name) {
				t.Error(reason)
			}
			b.expect(true, gone...)
		})
	}
}

func TestAListThatShrankStopsTheCollectionUntilItIsConfirmed(t *testing.T) {
	b := newBucket(t)
	var all []digest.Digest
	for number := range 20 {
		all = append(all, b.image(fmt.Sprintf("team/app%d", number), fmt.Sprint(number), 1)[0])
	}
	b.run(options{})
	for number := range 12 {
		b.unlink(fmt.Sprintf("team/app%d", number), all[number])
	}
	reason := b.refusal(options{})
	if !strings.Contains(reason, "fell from 20 to 8") || !strings.Contains(reason, "--confirm 8") {
		t.Error(reason)
	}
	b.refusal(options{confirmed: []int{9}})
	b.run(options{confirmed: []int{8}})
	if done := b.run(options{}); done.Deleted != 36 {
		t.Errorf("%+v", done)
	}
}

func TestARunThatWouldRemoveMostIsRefusedUntilItIsConfirmed(t *testing.T) {
	b := newBucket(t)
	b.config.MaxCondemnedPercent = 50
	gone := b.image("team/app", "all", 1)
	b.unlink("team/app", gone[0])
	b.run(options{})
	reason := b.refusal(options{})
	if !strings.Contains(reason, "3 blobs") || !strings.Contains(reason, "--confirm 3") {
		t.Error(reason)
	}
	b.expect(true, gone...)
	if plan := b.run(options{dry: true}); plan.WouldRefuse != reason || plan.Condemned != 3 {
		t.Errorf("%+v", plan)
	}
	b.run(options{confirmed: []int{3}})
	b.expect(false, gone...)
}

func TestADryRunWritesNothing(t *testing.T) {
	b := newBucket(t)
	gone := b.image("team/app", "gone", 1)
	b.unlink("team/app", gone[0])
	plan := b.run(options{dry: true, now: true})
	if plan.Phase != planned || plan.Condemned != 3 {
		t.Errorf("%+v", plan)
	}
	b.must(b.store.Keys(context.Background(), folder, func(key string) error {
		t.Errorf("%s was written", key)
		return nil
	}))
	b.expect(true, gone...)
}

func TestOneOfTwoCollectorsIsRefused(t *testing.T) {
	b := newBucket(t)
	b.image("team/app", "any", 1)
	b.during(options{}, "marked", func() {
		if reason := b.refusal(options{}); !strings.Contains(reason, "node-1 is collecting since") {
			t.Error(reason)
		}
	})
	b.run(options{})
}

func TestTheLockOfADeadCollectorExpires(t *testing.T) {
	b := newBucket(t)
	life := 2 * time.Second
	// A holder that renews nothing, as it is dead.
	dead, stop := context.WithCancel(context.Background())
	_, _, err := lock.Acquire(dead, b.store, lockKey, "node-2", life)
	b.must(err)
	stop()
	if _, _, err := lock.Acquire(context.Background(), b.store, lockKey, "node-1", life); !errors.As(err, new(lock.Held)) {
		t.Errorf("the lock was taken from a holder that may live: %v", err)
	}
	time.Sleep(life + 1500*time.Millisecond)
	held, _, err := lock.Acquire(context.Background(), b.store, lockKey, "node-1", life)
	b.must(err)
	b.must(held.Release(context.Background()))
}

func TestACollectorThatLostItsLockVerifiesWhatItRemoved(t *testing.T) {
	b := newBucket(t)
	gone := b.image("team/old", "gone", 1)
	b.unlink("team/old", gone[0])
	b.run(options{})
	b.config.LockLife = Duration(6 * time.Second)
	c := b.collector()
	c.step = func(done string) {
		if done == "removed" && b.config.Holder != "node-2" {
			b.config.Holder = "node-2"
			// Somebody else takes over while this one is frozen; then a push needs again what was removed.
			b.free()
			time.Sleep(b.config.LockLife.std())
			b.link("team/old", gone[0])
		}
	}
	b.tick()
	if _, err := c.run(context.Background(), options{}); !errors.Is(err, lock.ErrLost) {
		t.Errorf("it went on without its lock: %v", err)
	}
	b.expect(true, gone...)
	b.verified()
}

func TestTheNodesClockDoesNotMatter(t *testing.T) {
	b := newBucket(t)
	for _, off := range []time.Duration{time.Hour, -time.Hour} {
		c := b.collector()
		var err error
		c.store, err = store.New(store.Options{
			Endpoint: b.config.Endpoint, Region: b.config.Region, Bucket: b.config.Bucket, AccessKey: testKey, SecretKey: testSecret,
			NodeClock: func() time.Time { return time.Now().Add(off) },
		})
		b.must(err)
		c.health = drivesOf(c.store)
		c.config.MinimumAge = Duration(30 * time.Minute)
		gone := b.image("team/app", off.String(), 1)
		b.unlink("team/app", gone[0])
		done, err := c.run(context.Background(), options{now: true})
		b.must(err)
		if done.Deleted != 0 || time.Since(done.Time).Abs() > time.Minute {
			t.Errorf("%+v", done)
		}
		b.expect(true, gone...)
	}
}

func TestADriveThatIsAwayStopsTheCollection(t *testing.T) {
	b := newBucket(t)
	gone := b.image("team/app", "gone", 1)
	b.unlink("team/app", gone[0])
	b.run(options{})
	c := b.collector()
	c.health = func(context.Context) error { return refuse("drive 3 is offline") }
	b.tick()
	if _, err := c.run(context.Background(), options{}); ExitCode(err) != exitRefused {
		t.Error(err)
	}
	b.expect(true, gone...)
	state, err := b.collector().status(context.Background())
	b.must(err)
	if state.Runs[0].Phase != refused || state.Runs[0].Reason != "drive 3 is offline" {
		t.Errorf("%+v", state.Runs[0])
	}
}

func TestWhatIsNeededComesBackAlsoWhereNothingMayBeRemoved(t *testing.T) {
	b := newBucket(t)
	needed := b.image("team/app", "needed", 1)
	b.hide(needed...)
	b.link("team/damaged", digest.FromString("missing"))
	b.refusal(options{})
	b.expect(true, needed...)
}

func TestADriveThatGoesDuringASweepLeavesItToBeVerified(t *testing.T) {
	b := newBucket(t)
	gone := b.image("team/old", "gone", 1)
	b.unlink("team/old", gone[0])
	b.run(options{})
	c := b.collector()
	c.step = func(done string) {
		if done == "removed" {
			c.health = func(context.Context) error { return refuse("drive 3 is offline") }
			b.link("team/old", gone[0])
		}
	}
	b.tick()
	if _, err := c.run(context.Background(), options{}); ExitCode(err) != exitRefused {
		t.Error(err)
	}
	b.expect(true, gone...)
	state, err := b.collector().loadState(context.Background())
	b.must(err)
	if len(state.Sweeping) != 1 {
		t.Errorf("%+v", state)
	}
	b.run(options{})
	b.verified()
}

func TestMinioSaysWhichDriveIsNotWhole(t *testing.T) {
	for answer, want := range map[string]string{
		`{"Disks":[{"endpoint":"a","state":"ok"}]}`:                                    "",
		`{"Disks":[{"endpoint":"a","state":"ok"},{"endpoint":"b","state":"offline"}]}`: "drive b is offline",
		`{"Disks":[{"endpoint":"a","state":"ok","healing":true}]}`:                     "drive a is being healed",
		`{}`: "names no drive",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, answer)
		}))
		client, err := store.New(store.Options{Endpoint: server.URL, AccessKey: "a", SecretKey: "b"})
		if err == nil {
			err = client.Synchronize(context.Background())
		}
		if err != nil {
			t.Fatal(err)
		}
		err = drivesOf(client)(context.Background())
		if (err == nil) != (want == "") || (err != nil && !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", answer, err)
		}
		server.Close()
	}
}

// denying answers some requests in the store's place.
type denying struct{ what string }

func (d denying) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.Contains(r.URL.RawQuery, d.what) {
		answer := httptest.NewRecorder()
		http.Error(answer, "<Error><Code>AccessDenied</Code></Error>", http.StatusForbidden)
		return answer.Result(), nil
	}
	return http.DefaultTransport.RoundTrip(r)
}

func TestAListingThatFailsRemovesNothing(t *testing.T) {
	b := newBucket(t)
	kept, gone := b.image("team/app", "kept", 1), b.image("team/old", "gone", 1)
	b.unlink("team/old", gone[0])
	b.run(options{})
	for _, what := range []string{"repositories%2Fteam", "sha256%2F" + gone[1].Encoded()[:2]} {
		c := b.collector()
		var err error
		c.store, err = store.New(store.Options{
			Endpoint: b.config.Endpoint, Region: b.config.Region, Bucket: b.config.Bucket, AccessKey: testKey, SecretKey: testSecret,
			Transport: denying{what},
		})
		b.must(err)
		b.tick()
		_, err = c.run(context.Background(), options{})
		if err == nil || !strings.Contains(err.Error(), "AccessDenied") {
			t.Errorf("%s: %v", what, err)
		}
		b.expect(true, append(kept, gone...)...)
	}
}

func TestABucketWithoutVersionsIsRefused(t *testing.T) {
	b := newBucket(t)
	for _, configuration := range []string{
		`<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>`,
		`<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>`,
	} {
		b.must(b.server.ask("PUT", "/"+b.config.Bucket+"?versioning=", configuration))
		if reason := b.refusal(options{}); !strings.Contains(reason, "version") {
			t.Error(reason)
		}
	}
}

func TestAPurgeLeavesWhatIsNeededAgain(t *testing.T) {
	b := newBucket(t)
	again := b.image("team/app", "again", 1)
	b.unlink("team/app", again[0])
	b.twoRuns()
	b.link("team/app", again[0])
	b.config.PurgeAfter = 0
	if done := b.run(options{}); done.Undeleted != 3 || done.Purged != 0 {
		t.Errorf("%+v", done)
	}
	b.expect(true, again...)
}

func TestWhatTheCollectorKeepsHasNoOldVersions(t *testing.T) {
	b := newBucket(t)
	gone := b.image("team/app", "gone", 1)
	b.unlink("team/app", gone[0])
	b.twoRuns()
	b.must(b.store.Versions(context.Background(), folder, func(version store.Version) error {
		if !version.Latest && version.Key != lockKey {
			t.Errorf("%+v", version)
		}
		return nil
	}))
}
