package collect

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"berth.invalid/images/registry/collect/store"
	"github.com/aws/aws-sdk-go/aws/credentials"
	v4 "github.com/aws/aws-sdk-go/aws/signer/v4"
	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/s3-aws"
	"github.com/opencontainers/go-digest"
)

const (
	testKey    = "tester-of-collect"
	testSecret = "a-secret-for-collect"
	// minioVariable names the program of MinIO's server that the tests are run against.
	minioVariable = "BERTH_TEST_MINIO"
	// drivesVariable is for measurements where four drives are too many.
	drivesVariable = "BERTH_TEST_MINIO_DRIVES"
	rootDirectory  = "/registry"
)

// A minioServer is one node with four drives, if not said otherwise.
type minioServer struct {
	endpoint string
	folder   string
	process  *exec.Cmd
}

var (
	startOnce sync.Once
	started   *minioServer
	startErr  error
)

// TestMain stops the server that the tests shared, and is a collector of its own where a test asks for one that is killed.
func TestMain(m *testing.M) {
	if os.Getenv(killVariable) != "" {
		collectUntilKilled()
		return
	}
	code := m.Run()
	if started != nil {
		started.stop()
		os.RemoveAll(started.folder)
	}
	os.Exit(code)
}

func sharedServer(t testing.TB) *minioServer {
	t.Helper()
	program := os.Getenv(minioVariable)
	if program == "" {
		t.Skipf("%s names no MinIO server to test with", minioVariable)
	}
	startOnce.Do(func() { started, startErr = startServer(program) })
	if startErr != nil {
		t.Fatal(startErr)
	}
	return started
}

func startServer(program string) (*minioServer, error) {
	folder, err := os.MkdirTemp("", "berth-collect-")
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := listener.Addr().String()
	listener.Close()
	words := []string{"server", "--quiet", "--address=" + address}
	drives, err := strconv.Atoi(os.Getenv(drivesVariable))
	if err != nil {
		drives = 4
	}
	for drive := range drives {
		path := filepath.Join(folder, fmt.Sprint(drive))
		if err := os.Mkdir(path, 0o700); err != nil {
			return nil, err
		}
		words = append(words, path)
	}
	process := exec.Command(program, words...)
	// Folders of one file system stand for drives.
	process.Env = append(os.Environ(), "MINIO_CI_CD=1", "MINIO_BROWSER=off", "MINIO_ROOT_USER="+testKey, "MINIO_ROOT_PASSWORD="+testSecret)
	if err := process.Start(); err != nil {
		return nil, err
	}
	made := &minioServer{"http://" + address, folder, process}
	for range 300 {
		response, err := http.Get(made.endpoint + "/minio/health/cluster")
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return made, nil
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	made.stop()
	return nil, fmt.Errorf("%s did not come up", program)
}

func (s *minioServer) stop() {
	s.process.Process.Kill()
	_ = s.process.Wait()
}

// ask sends a signed request of which the collector's client knows nothing.
func (s *minioServer) ask(method, path, body string) error {
	request, err := http.NewRequest(method, s.endpoint+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	signer := v4.NewSigner(credentials.NewStaticCredentials(testKey, testSecret, ""))
	var signed io.ReadSeeker
	if body != "" {
		signed = strings.NewReader(body)
	}
	if _, err := signer.Sign(request, signed, "s3", "us-east-1", time.Now()); err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode >= 300 {
		text, _ := io.ReadAll(response.Body)
		return fmt.Errorf("%s %s: %d %s", method, path, response.StatusCode, text)
	}
	return nil
}

const versioned = `<VersioningConfiguration><Status>Enabled</Status>` +
	`<ExcludedPrefixes><Prefix>*/_uploads/</Prefix></ExcludedPrefixes></VersioningConfiguration>`

// A bucket is one test's own, with a collector that does not wait long.
type bucket struct {
	testing.TB
	server *minioServer
	config Config
	store  *store.Client
}

var buckets atomic.Int32

func newBucket(t testing.TB) *bucket {
	t.Helper()
	server := sharedServer(t)
	if test, ok := t.(*testing.T); ok {
		test.Parallel()
	}
	name := fmt.Sprintf("test-%d-%d", os.Getpid(), buckets.Add(1))
	if err := server.ask("PUT", "/"+name, ""); err != nil {
		t.Fatal(err)
	}
	if err := server.ask("PUT", "/"+name+"?versioning=", versioned); err != nil {
		t.Fatal(err)
	}
	config := usualConfig()
	config.Endpoint, config.Bucket, config.Root = server.endpoint, name, rootDirectory
	config.AccessKey, config.SecretKey, config.Holder = testKey, testSecret, "node-1"
	config.MinimumAge, config.GracePeriod, config.Settle = 0, 0, Duration(100*time.Millisecond)
	config.PurgeAfter, config.LockLife = Duration(time.Hour), Duration(time.Minute)
	config.MaxCondemnedPercent = 100
	made := &bucket{TB: t, server: server, config: config}
	made.store = made.collector().store
	made.must(made.store.Synchronize(context.Background()))
	return made
}

func (b *bucket) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bucket) collector() *collector {
	b.Helper()
	made, err := newCollector(b.config, nil, io.Discard)
	b.must(err)
	return made
}

// run makes one run that has to succeed.
func (b *bucket) run(asked options) result {
	b.Helper()
	b.tick()
	done, err := b.collector().run(context.Background(), asked)
	b.must(err)
	return done
}

// twoRuns are a mark and the run that removes what it found.
func (b *bucket) twoRuns() result {
	b.Helper()
	b.run(options{})
	return b.run(options{})
}

// tick lets the store's clock, which counts in seconds, move on.
func (b *bucket) tick() { time.Sleep(1100 * time.Millisecond) }

// refusal makes one run that has to be refused, and returns the reason.
func (b *bucket) refusal(asked options) string {
	b.Helper()
	b.tick()
	_, err := b.collector().run(context.Background(), asked)
	if err == nil || ExitCode(err) != exitRefused {
		b.Fatalf("it was not refused: %v", err)
	}
	return err.Error()
}

func (b *bucket) put(key string, body []byte) {
	b.Helper()
	_, err := b.store.Put(context.Background(), key, body, store.Any)
	b.must(err)
}

// blob stores data without a registry.
func (b *bucket) blob(content []byte) digest.Digest {
	b.Helper()
	of := digest.FromBytes(content)
	b.put(b.collector().layout.Blob(of), content)
	return of
}

func (b *bucket) link(repository string, of digest.Digest) {
	b.Helper()
	b.put(b.collector().layout.Revision(repository, of), []byte(of))
}

// unlink deletes a manifest as the registry does.
func (b *bucket) unlink(repository string, of digest.Digest) {
	b.Helper()
	b.must(b.store.Delete(context.Background(), []store.Name{{Key: b.collector().layout.Revision(repository, of)}}))
}

// image stores an image with layers of their own, and returns its manifest, its config and its layers.
func (b *bucket) image(repository, name string, layers int) []digest.Digest {
	b.Helper()
	all := []digest.Digest{"", b.blob([]byte(`{"config":"` + name + `"}`))}
	for i := range layers {
		all = append(all, b.blob([]byte(fmt.Sprintf("layer %d of %s", i, name))))
	}
	all[0] = b.manifest(repository, all[1], all[2:]...)
	return all
}

func (b *bucket) manifest(repository string, config digest.Digest, layers ...digest.Digest) digest.Digest {
	b.Helper()
	of := b.blob(imageManifest(config, layers...))
	b.link(repository, of)
	return of
}

func imageManifest(config digest.Digest, layers ...digest.Digest) []byte {
	type descriptor map[string]any
	parts := []descriptor{}
	for _, layer := range layers {
		parts = append(parts, descriptor{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer, "size": 1})
	}
	text, _ := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": parts,
		"config": descriptor{"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 1},
	})
	return text
}

// has says whether a blob's data can be read.
func (b *bucket) has(of digest.Digest) bool {
	b.Helper()
	exists, err := b.store.Exists(context.Background(), b.collector().layout.Blob(of))
	b.must(err)
	return exists
}

func (b *bucket) expect(want bool, blobs ...digest.Digest) {
	b.Helper()
	for _, of := range blobs {
		if b.has(of) != want {
			b.Errorf("blob %s: readable is %v, expected %v", of, !want, want)
		}
	}
}

func (b *bucket) versions(of digest.Digest) (found []store.Version) {
	b.Helper()
	b.must(b.store.Versions(context.Background(), b.collector().layout.Blob(of), func(version store.Version) error {
		found = append(found, version)
		return nil
	}))
	return found
}

// registry is distribution itself over the bucket.
func (b *bucket) registry() http.Handler {
	b.Helper()
	log.SetOutput(io.Discard)
	text := fmt.Sprintf(`
version: 0.1
log: {level: error, accesslog: {disabled: true}}
http: {secret: of-a-test}
storage:
  redirect: {disable: true}
  delete: {enabled: true}
  maintenance: {uploadpurging: {enabled: false}}
  s3: {accesskey: %s, secretkey: %s, region: us-east-1, regionendpoint: %q, forcepathstyle: true, secure: false, bucket: %s, rootdirectory: %s}
`, testKey, testSecret, b.server.endpoint, b.config.Bucket, rootDirectory)
	config, err := configuration.Parse(strings.NewReader(text))
	b.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	b.Cleanup(cancel)
	return handlers.NewApp(ctx, config)
}
