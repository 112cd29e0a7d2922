package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
)

// guard makes a hub want a token of its own token server, which wants user and password.
func guard(h *hub) {
	h.misbehave(func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
		user, password, _ := r.BasicAuth()
		switch {
		case r.URL.Path == "/token" && (user != "me" || password != "secret"):
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == "/token":
			json.NewEncoder(w).Encode(map[string]any{"token": "for " + r.URL.Query().Get("scope"), "expires_in": 300})
		case r.Header.Get("Authorization") == "Bearer for repository:library/app:pull":
			return false
		default:
			w.Header().Set("WWW-Authenticate", `Bearer realm="`+h.URL+`/token",service="hub",scope="repository:library/app:pull"`)
			w.Header().Set("Content-Length", "0")
			w.WriteHeader(http.StatusUnauthorized)
		}
		return true
	})
}

func TestATokenIsBoughtOnceForAllRequestsOfARepository(t *testing.T) {
	h := newHub(t)
	manifest, blobs := h.image("1", 100, 200)
	guard(h)
	server := cacheOf(t, h, t.TempDir(), "me", "secret")
	if got := get(server, "GET", "manifests/1"); digest.FromBytes(got.body) != manifest {
		t.Fatalf("%d %s", got.status, got.body)
	}
	for _, blob := range blobs {
		if got := get(server, "GET", "blobs/"+blob.String()); digest.FromBytes(got.body) != blob {
			t.Errorf("%d %s", got.status, got.body)
		}
	}
	if n := h.count("GET token"); n != 1 {
		t.Errorf("%d tokens", n)
	}
}

func TestAPasswordThatTheTokenServerRefusesIsNamed(t *testing.T) {
	h := newHub(t)
	h.image("1", 100)
	guard(h)
	got := get(cacheOf(t, h, t.TempDir(), "me", "old"), "GET", "manifests/1")
	if got.status != 502 || got.code() != "DENIED" || !strings.Contains(string(got.body), "credentials") {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestAnUpstreamWithBasicAuthenticationGetsThePassword(t *testing.T) {
	h := newHub(t)
	manifest, _ := h.image("1", 100)
	h.misbehave(func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
		if user, password, _ := r.BasicAuth(); user == "me" && password == "secret" {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="hub"`)
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(http.StatusUnauthorized)
		return true
	})
	if got := get(cacheOf(t, h, t.TempDir(), "me", "secret"), "GET", "manifests/1"); digest.FromBytes(got.body) != manifest {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestThePasswordGoesNowhereElse(t *testing.T) {
	h := newHub(t)
	_, blobs := h.image("1", 100)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("the password was sent to another host")
		}
		w.Write(h.content[blobs[0].String()])
	}))
	t.Cleanup(elsewhere.Close)
	h.misbehave(func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
		if _, _, ok := r.BasicAuth(); !ok {
			w.Header().Set("WWW-Authenticate", `Basic realm="hub"`)
			w.Header().Set("Content-Length", "0")
			w.WriteHeader(http.StatusUnauthorized)
			return true
		}
		if r.Method == http.MethodHead {
			return false
		}
		w.Header().Del("Content-Length")
		http.Redirect(w, r, elsewhere.URL+"/data", http.StatusTemporaryRedirect)
		return true
	})
	server := cacheOf(t, h, t.TempDir(), "me", "secret")
	if got := get(server, "GET", "blobs/"+blobs[0].String()); digest.FromBytes(got.body) != blobs[0] {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestATokenServerOutsideOfTheUpstreamsDomainIsNotTrusted(t *testing.T) {
	u := &upstream{url: &url.URL{Scheme: "https", Host: "registry-1.docker.io"}}
	for realm, want := range map[string]bool{
		"https://auth.docker.io/token": true, "https://registry-1.docker.io/token": true, "http://auth.docker.io/token": false,
		"https://docker.io.example.com/token": false, "https://10.0.0.1/token": false, "/token": false, "https://github.io/": false,
	} {
		parsed, _ := url.Parse(realm)
		if u.trusts(parsed) != want {
			t.Errorf("%s", realm)
		}
	}
}
