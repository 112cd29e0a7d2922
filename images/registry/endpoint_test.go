package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go/aws"
	"github.com/aws/aws-sdk-go/aws/credentials"
	"github.com/aws/aws-sdk-go/aws/session"
	"github.com/aws/aws-sdk-go/service/s3"
)

var quick = limits{
	connect: 2 * time.Second, handshake: 500 * time.Millisecond, stall: 700 * time.Millisecond, skip: time.Minute,
	probeEvery: time.Hour, probe: 700 * time.Millisecond, quiet: 500 * time.Millisecond,
}

// frozen takes connections and never says a word.
func frozen(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener.Addr().String()
}

func closed(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// storeOf is an S3 client as distribution makes it, over an endpoint of these servers.
func storeOf(t *testing.T, limits limits, scheme string, tls *httptest.Server, servers ...string) (*s3.S3, *endpoint) {
	t.Setenv("AWS_CA_BUNDLE", "")
	transport := &http.Transport{DialContext: (&net.Dialer{}).DialContext}
	if tls != nil {
		transport.TLSClientConfig = tls.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
		transport.TLSClientConfig.ServerName = "example.com"
	}
	e := newEndpoint("store.test:9443", strings.Join(servers, ","), limits)
	e.install(transport)
	config := aws.NewConfig().WithRegion("us-east-1").WithS3ForcePathStyle(true).
		WithEndpoint(scheme + "://store.test:9443").WithCredentials(credentials.NewStaticCredentials("a", "b", "")).
		WithHTTPClient(&http.Client{Transport: transport})
	return s3.New(session.Must(session.NewSession(config))), e
}

func (e *endpoint) skipped() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.failed)
}

func read1(t *testing.T, store *s3.S3) string {
	t.Helper()
	got, err := store.GetObject(&s3.GetObjectInput{Bucket: aws.String("b"), Key: aws.String("k")})
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	text, _ := io.ReadAll(got.Body)
	return string(text)
}

func server(t *testing.T, start func(http.Handler) *httptest.Server, act http.HandlerFunc) (*httptest.Server, string) {
	s := start(act)
	t.Cleanup(s.Close)
	at, _ := url.Parse(s.URL)
	return s, at.Host
}

func good(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "good") }

func TestServersAreTakenInTurnAndOneThatIsGoneIsLeftOut(t *testing.T) {
	_, a := server(t, httptest.NewServer, good)
	_, b := server(t, httptest.NewServer, good)
	store, e := storeOf(t, quick, "http", nil, a, closed(t), b)
	for range 4 {
		if read1(t, store) != "good" {
			t.Fatal("no answer")
		}
		store.Config.HTTPClient.CloseIdleConnections()
	}
	if e.skipped() != 1 {
		t.Error("it is not left out")
	}
	if first, second := e.order()[:2], e.order()[:2]; first[0] == second[0] {
		t.Errorf("%v, then %v", first, second)
	}
}

func TestAServerThatNeverEndsTheHandshakeCostsARetry(t *testing.T) {
	tls, live := server(t, httptest.NewTLSServer, good)
	stuck := frozen(t)
	store, e := storeOf(t, quick, "https", tls, stuck, live)
	begun := time.Now()
	if read1(t, store) != "good" {
		t.Fatal("no answer")
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	if first := e.order()[0]; first != live {
		t.Error("the frozen server is still tried first")
	}
}

func TestAServerThatFreezesUnderARequestCostsARetry(t *testing.T) {
	release := make(chan struct{})
	_, stuck := server(t, httptest.NewServer, func(_ http.ResponseWriter, r *http.Request) { <-release })
	_, live := server(t, httptest.NewServer, good)
	t.Cleanup(func() { close(release) })
	store, e := storeOf(t, quick, "http", nil, stuck, live)
	if read1(t, store) != "good" {
		t.Fatal("no answer")
	}
	if e.skipped() != 1 {
		t.Error("it is not left out")
	}
}

func TestAServerThatDiesUnderARequestCostsARetry(t *testing.T) {
	_, dying := server(t, httptest.NewServer, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, _ := w.(http.Hijacker).Hijack()
		// A reset, as from a process that was killed with bytes unread.
		conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	})
	_, live := server(t, httptest.NewServer, good)
	store, _ := storeOf(t, quick, "http", nil, dying, live)
	if read1(t, store) != "good" {
		t.Fatal("no answer")
	}
}

func TestAServerThatDoesNotAnswerTheProbeLosesItsQuietConnections(t *testing.T) {
	probed := quick
	probed.stall, probed.probeEvery = time.Minute, 200*time.Millisecond
	release := make(chan struct{})
	stuckTLS, stuck := server(t, httptest.NewTLSServer, func(_ http.ResponseWriter, _ *http.Request) { <-release })
	_, live := server(t, httptest.NewTLSServer, good)
	t.Cleanup(func() { close(release) })
	store, _ := storeOf(t, probed, "https", stuckTLS, stuck, live)
	begun := time.Now()
	if read1(t, store) != "good" {
		t.Fatal("no answer")
	}
	if took := time.Since(begun); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestOtherAddressesAreDialledAsTheyAre(t *testing.T) {
	s, _ := server(t, httptest.NewServer, good)
	store, _ := storeOf(t, quick, "http", nil, closed(t))
	response, err := store.Config.HTTPClient.Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
}
