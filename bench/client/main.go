// A registry client that costs little: the benches share two cores with what they measure. One job as JSON on standard
// input, its figures as JSON on standard output. HTTP/1.1 as docker speaks it, each client with connections of its own.
package main

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

const manifestType = "application/vnd.oci.image.manifest.v1+json"

var errDigest = errors.New("wrong digest")

// A job is what to do, to which registry, and with how many clients.
type job struct {
	Verb       string
	Base       string
	CA         string // PEM; empty for plain HTTP
	User       string
	Password   string
	Repository string
	Clients    int
	Size       int      // bytes of each blob
	Count      int      // blobs
	Blobs      []string // digests to pull
	Seconds    float64  // pull and ask for about so long, but every blob once
	Verify     bool
	Tag        string
}

// figures is what a job found; each verb fills its own.
type figures struct {
	Seconds       float64   `json:"seconds"`
	Bytes         int64     `json:"bytes"`
	Blobs         []string  `json:"blobs,omitempty"`
	Requests      int       `json:"requests,omitempty"`
	Milliseconds  []float64 `json:"milliseconds,omitempty"` // of requests: mean, median, 99th percentile
	FirstByte     []float64 `json:"first_byte,omitempty"`   // seconds to the first byte of a layer: best, median, worst client
	Repeats       int       `json:"repeats"`                // of blobs that broke off, as docker repeats them
	ClientSeconds []float64 `json:"client_seconds,omitempty"`
}

type descriptor struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
}

type manifest struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Config        descriptor   `json:"config"`
	Layers        []descriptor `json:"layers"`
}

func main() {
	var j job
	if err := json.NewDecoder(os.Stdin).Decode(&j); err != nil {
		fail(err)
	}
	verbs := map[string]func(job) (figures, error){"push": push, "pull": pull, "image": image, "fill": fill, "ask": ask}
	verb, known := verbs[j.Verb]
	if !known {
		fail(fmt.Errorf("there is no verb %q", j.Verb))
	}
	found, err := verb(j)
	if err != nil {
		fail(err)
	}
	json.NewEncoder(os.Stdout).Encode(found)
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// client has connections of its own, as another machine would.
func (j job) client() *http.Client {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(j.CA))
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: roots},
		TLSNextProto:        map[string]func(string, *tls.Conn) http.RoundTripper{},
		MaxIdleConnsPerHost: 8,
		ReadBufferSize:      64 << 10,
		WriteBufferSize:     64 << 10,
	}}
}

func (j job) do(c *http.Client, method, address string, body io.Reader, length int64, status int) (*http.Response, error) {
	request, err := http.NewRequest(method, address, body)
	if err != nil {
		return nil, err
	}
	request.ContentLength = length
	if j.User != "" {
		request.SetBasicAuth(j.User, j.Password)
	}
	if method == "PUT" || method == "PATCH" {
		request.Header.Set("Content-Type", "application/octet-stream")
	}
	if strings.Contains(address, "/manifests/") {
		request.Header.Set("Accept", manifestType+", application/vnd.docker.distribution.manifest.v2+json")
		request.Header.Set("Content-Type", manifestType)
	}
	response, err := c.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != status {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 300))
		response.Body.Close()
		return nil, fmt.Errorf("%s %s: %s: %s", method, address, response.Status, text)
	}
	return response, nil
}

// each runs one function per client at the same time and returns the first error and the seconds that all took.
func (j job) each(run func(number int, c *http.Client) error) (float64, error) {
	problems := make([]error, j.Clients)
	var group sync.WaitGroup
	begun := time.Now()
	for number := range j.Clients {
		group.Go(func() { problems[number] = run(number, j.client()) })
	}
	group.Wait()
	return time.Since(begun).Seconds(), errors.Join(problems...)
}

func digestOf(data ...[]byte) string {
	sum := sha256.New()
	for _, part := range data {
		sum.Write(part)
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil))
}

// push sends new blobs as docker does: POST, PATCH, PUT. Their bytes are random, their digests are known before it begins.
func push(j job) (figures, error) {
	shared := make([]byte, j.Size-16)
	rand.Read(shared)
	heads, names := make([][]byte, j.Count), make([]string, j.Count)
	for number := range heads {
		heads[number] = make([]byte, 16)
		rand.Read(heads[number][:8])
		binary.BigEndian.PutUint64(heads[number][8:], uint64(number))
		names[number] = digestOf(heads[number], shared)
	}
	seconds, err := j.each(func(number int, c *http.Client) error {
		for ; number < j.Count; number += j.Clients {
			body := io.MultiReader(bytes.NewReader(heads[number]), bytes.NewReader(shared))
			if err := j.upload(c, names[number], body, int64(j.Size)); err != nil {
				return err
			}
		}
		return nil
	})
	return figures{Seconds: seconds, Bytes: int64(j.Size) * int64(j.Count), Blobs: names}, err
}

func (j job) upload(c *http.Client, name string, body io.Reader, size int64) error {
	place := j.Base + "/v2/" + j.Repository + "/blobs/uploads/"
	for _, step := range []struct {
		method string
		body   io.Reader
		length int64
		status int
	}{{"POST", nil, 0, 202}, {"PATCH", body, size, 202}, {"PUT", nil, 0, 201}} {
		if step.method == "PUT" {
			parsed, err := url.Parse(place)
			if err != nil {
				return err
			}
			query := parsed.Query()
			query.Set("digest", name)
			parsed.RawQuery = query.Encode()
			place = parsed.String()
		}
		response, err := j.do(c, step.method, place, step.body, step.length, step.status)
		if err != nil {
			return err
		}
		response.Body.Close()
		where, err := response.Request.URL.Parse(response.Header.Get("Location"))
		if err != nil {
			return err
		}
		place = where.String()
	}
	return nil
}

// blob reads one blob to its end; first is called with the first byte.
func (j job) blob(c *http.Client, name string, verify bool, first func()) (int64, error) {
	response, err := j.do(c, "GET", j.Base+"/v2/"+j.Repository+"/blobs/"+name, nil, 0, 200)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	sum, buffer, size := sha256.New(), make([]byte, 256<<10), int64(0)
	for {
		count, err := response.Body.Read(buffer)
		if count > 0 && size == 0 {
			first()
		}
		size += int64(count)
		if verify {
			sum.Write(buffer[:count])
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return size, fmt.Errorf("%s after %d bytes: %w", name, size, err)
		}
	}
	if got := "sha256:" + hex.EncodeToString(sum.Sum(nil)); verify && got != name {
		return size, fmt.Errorf("%w: %s came as %s", errDigest, name, got)
	}
	return size, nil
}

// pull reads the blobs over and over until the time is up; each client begins with another one.
func pull(j job) (figures, error) {
	read := make([]int64, j.Clients)
	until := time.Now().Add(time.Duration(j.Seconds * float64(time.Second)))
	seconds, err := j.each(func(number int, c *http.Client) error {
		for turn := number; turn < len(j.Blobs) || time.Now().Before(until); turn += j.Clients {
			size, err := j.blob(c, j.Blobs[turn%len(j.Blobs)], j.Verify, func() {})
			if err != nil {
				return err
			}
			read[number] += size
		}
		return nil
	})
	found := figures{Seconds: seconds}
	for _, size := range read {
		found.Bytes += size
	}
	return found, err
}

// fill pushes an image of Count random layers under a tag.
func fill(j job) (figures, error) {
	j.Clients = 1
	found, err := push(j)
	if err != nil {
		return found, err
	}
	config := []byte(`{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}`)
	c := j.client()
	if err := j.upload(c, digestOf(config), bytes.NewReader(config), int64(len(config))); err != nil {
		return found, err
	}
	m := manifest{SchemaVersion: 2, MediaType: manifestType}
	m.Config = descriptor{"application/vnd.oci.image.config.v1+json", digestOf(config), int64(len(config))}
	for _, name := range found.Blobs {
		m.Layers = append(m.Layers, descriptor{"application/vnd.oci.image.layer.v1.tar", name, int64(j.Size)})
	}
	text, err := json.Marshal(m)
	if err != nil {
		return found, err
	}
	address := j.Base + "/v2/" + j.Repository + "/manifests/" + j.Tag
	response, err := j.do(c, "PUT", address, bytes.NewReader(text), int64(len(text)), 201)
	if err != nil {
		return found, err
	}
	return found, response.Body.Close()
}

// image has every client pull the whole image as docker does: manifest, then three layers at a time, each one verified and
// repeated when it breaks off. Bytes that never came whole are missing from the sum.
func image(j job) (figures, error) {
	sizes, repeats := make([]int64, j.Clients), make([]int, j.Clients)
	firsts, took := make([]float64, j.Clients), make([]float64, j.Clients)
	seconds, err := j.each(func(number int, c *http.Client) error {
		begun := time.Now()
		response, err := j.do(c, "GET", j.Base+"/v2/"+j.Repository+"/manifests/"+j.Tag, nil, 0, 200)
		if err != nil {
			return err
		}
		var m manifest
		err = json.NewDecoder(response.Body).Decode(&m)
		response.Body.Close()
		if err != nil {
			return err
		}
		var once sync.Once
		var group sync.WaitGroup
		var lock sync.Mutex
		var problems []error
		places := make(chan struct{}, 3)
		for _, layer := range append([]descriptor{m.Config}, m.Layers...) {
			places <- struct{}{}
			group.Go(func() {
				defer func() { <-places }()
				for try := 0; ; try++ {
					size, err := j.blob(c, layer.Digest, true, func() {
						if layer.Digest != m.Config.Digest {
							once.Do(func() { firsts[number] = time.Since(begun).Seconds() })
						}
					})
					lock.Lock()
					if err == nil {
						sizes[number] += size
					} else if errors.Is(err, errDigest) {
						problems = append(problems, err)
					} else if repeats[number]++; try < 4 {
						lock.Unlock()
						time.Sleep(time.Second)
						continue
					}
					lock.Unlock()
					return
				}
			})
		}
		group.Wait()
		took[number] = time.Since(begun).Seconds()
		return errors.Join(problems...)
	})
	found := figures{Seconds: seconds, ClientSeconds: took}
	for number, size := range sizes {
		found.Bytes += size
		found.Repeats += repeats[number]
	}
	slices.Sort(firsts)
	found.FirstByte = []float64{firsts[0], firsts[len(firsts)/2], firsts[len(firsts)-1]}
	return found, err
}

// ask repeats one small request on connections that stay open.
func ask(j job) (figures, error) {
	all := make([][]float64, j.Clients)
	until := time.Now().Add(time.Duration(j.Seconds * float64(time.Second)))
	seconds, err := j.each(func(number int, c *http.Client) error {
		for time.Now().Before(until) {
			begun := time.Now()
			response, err := j.do(c, "GET", j.Base+"/v2/"+j.Repository, nil, 0, 200)
			if err != nil {
				return err
			}
			io.Copy(io.Discard, response.Body)
			response.Body.Close()
			all[number] = append(all[number], time.Since(begun).Seconds()*1000)
		}
		return nil
	})
	times := slices.Concat(all...)
	if err != nil || len(times) == 0 {
		return figures{}, err
	}
	slices.Sort(times)
	sum := 0.0
	for _, one := range times {
		sum += one
	}
	found := figures{Seconds: seconds, Requests: len(times)}
	found.Milliseconds = []float64{sum / float64(len(times)), times[len(times)/2], times[len(times)*99/100]}
	return found, nil
}
