package main

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
)

func server(t *testing.T, status int) (*httptest.Server, string) {
	t.Helper()
	made := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	t.Cleanup(made.Close)
	ca := filepath.Join(t.TempDir(), "ca.crt")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: made.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return made, ca
}

func TestWhatAnswersIsWell(t *testing.T) {
	made, ca := server(t, http.StatusOK)
	if err := ask([]string{made.URL, ca}); err != nil {
		t.Fatal(err)
	}
	if err := ask([]string{made.URL, ca, "example.com"}); err != nil {
		t.Fatal(err)
	}
}

func TestWhatAnswersOtherwiseIsNot(t *testing.T) {
	made, ca := server(t, http.StatusServiceUnavailable)
	other, _ := server(t, http.StatusOK)
	for name, words := range map[string][]string{
		"another status":     {made.URL, ca},
		"another name":       {other.URL, ca, "elsewhere.test"},
		"an unknown CA":      {other.URL},
		"a CA that is none":  {other.URL, os.DevNull},
		"a CA that is gone":  {other.URL, "/nowhere"},
		"nobody there":       {"http://127.0.0.1:1/"},
		"too few words":      {},
		"more than it takes": {"a", "b", "c", "d"},
	} {
		if ask(words) == nil {
			t.Errorf("%s is no reason to fail", name)
		}
	}
}
