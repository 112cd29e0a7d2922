package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMain lets the test binary stand for the program.
func TestMain(m *testing.M) {
	if os.Getenv("AS_PROGRAM") != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// started is a registry behind a faultProxy with one blob in it, pushed as a client does.
func started(t *testing.T, require string) (p *faultProxy, url string, body []byte) {
	t.Setenv("OTEL_TRACES_EXPORTER", "none")
	inner, err := registry(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	p = newFaultProxy(inner, require)
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	body = bytes.Repeat([]byte("0123456789abcdef"), 16<<10)
	if err := p.configure(faultConfig{Delay: "0s", Fault: "down"}); err != nil {
		t.Fatal(err)
	}
	begun, err := http.Post(server.URL+"/v2/app/blobs/uploads/", "", nil)
	if err != nil || begun.StatusCode != http.StatusAccepted {
		t.Fatalf("a push was disturbed: %v %v", begun, err)
	}
	name := fmt.Sprintf("sha256:%x", sha256.Sum256(body))
	at, _ := begun.Location()
	put, _ := http.NewRequest("PUT", at.String()+"&digest="+name, bytes.NewReader(body))
	done, err := http.DefaultClient.Do(put)
	if err != nil || done.StatusCode != http.StatusCreated {
		t.Fatalf("a push was disturbed: %v %v", done, err)
	}
	p.configure(faultConfig{Delay: "0s", Fault: "none"})
	p.stats(true)
	return p, server.URL + "/v2/app/blobs/" + name, body
}

func pull(t *testing.T, url string) (status int, body []byte, err error) {
	t.Helper()
	response, err := (&http.Client{Timeout: 3 * time.Second}).Get(url)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	body, err = io.ReadAll(response.Body)
	return response.StatusCode, body, err
}

func TestEachFaultIsWhatItIsCalled(t *testing.T) {
	p, url, body := started(t, "")
	for fault, right := range map[string]func(status int, got []byte, err error) bool{
		"none":         func(_ int, got []byte, err error) bool { return err == nil && bytes.Equal(got, body) },
		"down":         func(_ int, _ []byte, err error) bool { return errors.Is(err, io.EOF) },
		"429":          func(status int, _ []byte, _ error) bool { return status == 429 },
		"500":          func(status int, _ []byte, _ error) bool { return status == 500 },
		"unauthorized": func(status int, _ []byte, _ error) bool { return status == 401 },
		"empty":        func(status int, got []byte, err error) bool { return status == 200 && len(got) == 0 && err == nil },
		"wrong": func(status int, got []byte, err error) bool {
			return status == 200 && len(got) == len(body) && !bytes.Equal(got, body) && err == nil
		},
		"truncated": func(status int, got []byte, err error) bool {
			return status == 200 && len(got) == len(body)/2 && errors.Is(err, io.ErrUnexpectedEOF)
		},
		"stall": func(status int, got []byte, err error) bool {
			var late net.Error
			return status == 200 && len(got) == len(body)/2 && errors.As(err, &late) && late.Timeout()
		},
	} {
		t.Run(fault, func(t *testing.T) {
			if err := p.configure(faultConfig{Delay: "0s", Fault: fault}); err != nil {
				t.Fatal(err)
			}
			if status, got, err := pull(t, url); !right(status, got, err) {
				t.Errorf("%d, %d bytes, %v", status, len(got), err)
			}
		})
	}
}

func TestAFaultMeetsOnlyThePathsThatMatch(t *testing.T) {
	p, url, _ := started(t, "")
	p.configure(faultConfig{Delay: "0s", Fault: "500", Match: "/manifests/"})
	if status, _, _ := pull(t, url); status != 200 {
		t.Errorf("%d", status)
	}
}

func TestDelayAndBandwidthAreKept(t *testing.T) {
	p, url, body := started(t, "")
	p.configure(faultConfig{Delay: "200ms", Bandwidth: fmt.Sprint(len(body) * 8 * 4), Fault: "none"})
	begun := time.Now()
	done := make(chan struct{})
	for range 2 {
		go func() { pull(t, url); done <- struct{}{} }()
	}
	<-done
	<-done
	// Two together at four blobs a second: half a second, after the delay.
	if took := time.Since(begun); took < 650*time.Millisecond || took > 1500*time.Millisecond {
		t.Errorf("it took %v", took)
	}
}

func TestPullsAreCounted(t *testing.T) {
	p, url, body := started(t, "")
	pull(t, url)
	http.Head(url)
	got := p.stats(true)
	path := url[strings.Index(url, "/v2/"):]
	if got.Requests != 2 || got.BlobRequests != 1 || got.Bytes != int64(len(body)) || got.Paths["GET "+path].Requests != 1 {
		t.Errorf("%+v", got)
	}
	if p.stats(false).Requests != 0 {
		t.Error("a reset resets nothing")
	}
}

func TestAPasswordIsRequiredWhereOneIsSet(t *testing.T) {
	_, url, body := started(t, "me:secret")
	if status, _, _ := pull(t, url); status != 401 {
		t.Errorf("%d", status)
	}
	if _, got, _ := pull(t, strings.Replace(url, "://", "://me:secret@", 1)); !bytes.Equal(got, body) {
		t.Error("refused")
	}
}

func TestAnInvalidFaultConfigIsRefused(t *testing.T) {
	for _, c := range []faultConfig{
		{Delay: "soon", Fault: "none"}, {Delay: "0s", Fault: "bad luck"}, {Delay: "0s", Fault: "none", Match: "("},
		{Delay: "0s", Fault: "none", Bandwidth: "M"}, {Delay: "0s", Fault: "none", Bandwidth: "-1M"},
	} {
		if _, err := c.parse(); err == nil || !strings.HasPrefix(err.Error(), "--") {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestTheServerIsControlledThroughItsSocket(t *testing.T) {
	folder := t.TempDir()
	socket := "--socket=" + filepath.Join(folder, "s")
	program := func(words ...string) *exec.Cmd {
		command := exec.Command(os.Args[0], words...)
		command.Env = append(os.Environ(), "AS_PROGRAM=1", "OTEL_TRACES_EXPORTER=none")
		return command
	}
	serve := program("serve", socket, "--address=127.0.0.1:0", "--storage="+filepath.Join(folder, "data"))
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { serve.Process.Kill(); serve.Wait() })
	var output []byte
	err := errors.New("not yet")
	for end := time.Now().Add(5 * time.Second); err != nil && time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		output, err = program("stats", socket).Output()
	}
	var got statistics
	if err != nil || json.Unmarshal(output, &got) != nil {
		t.Fatalf("%s %v", output, err)
	}
	if output, err := program("set", socket, "--fault=bad").CombinedOutput(); err == nil || !strings.Contains(string(output), "--fault") {
		t.Errorf("%s %v", output, err)
	}
	if output, err := program("set", socket, "--fault=500", "--delay=1ms").CombinedOutput(); err != nil {
		t.Errorf("%s %v", output, err)
	}
}
