package store

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// An Object is what one read of it gave.
type Object struct {
	Body     []byte
	ETag     string
	Modified time.Time
}

// Get reads an object that is not larger than limit; a version of it where one is named.
func (c *Client) Get(ctx context.Context, key, version string, limit int64) (Object, error) {
	asked := request{method: http.MethodGet, key: key}
	if version != "" {
		asked.query = url.Values{"versionId": {version}}
	}
	var found Object
	err := c.do(ctx, asked, func(response *http.Response) error {
		body, err := io.ReadAll(io.LimitReader(response.Body, limit+1))
		if err != nil {
			return fmt.Errorf("reading %s: %w", key, err)
		}
		if int64(len(body)) > limit {
			return &Error{What: asked.String(), Status: response.StatusCode, Code: "TooLarge",
				Message: fmt.Sprintf("it has more than %d bytes", limit)}
		}
		modified, _ := http.ParseTime(response.Header.Get("Last-Modified"))
		found = Object{Body: body, ETag: response.Header.Get("ETag"), Modified: modified}
		return nil
	})
	return found, err
}

// Exists asks for an object without reading it.
func (c *Client) Exists(ctx context.Context, key string) (bool, error) {
	err := c.do(ctx, request{method: http.MethodHead, key: key}, nil)
	if IsMissing(err) {
		return false, nil
	}
	return err == nil, err
}

// A Condition is what has to hold for a write.
type Condition struct{ header, value string }

// Any writes whatever there is; Absent only where nothing is.
var (
	Any    = Condition{}
	Absent = Condition{"If-None-Match", "*"}
)

// Unchanged writes only over the object that was read.
func Unchanged(etag string) Condition { return Condition{"If-Match", etag} }

// Put writes an object whole, and returns its ETag.
func (c *Client) Put(ctx context.Context, key string, body []byte, condition Condition) (string, error) {
	asked := request{method: http.MethodPut, key: key, body: body}
	if condition.header != "" {
		asked.header = map[string]string{condition.header: condition.value}
	}
	etag := ""
	err := c.do(ctx, asked, func(response *http.Response) error {
		etag = response.Header.Get("ETag")
		return nil
	})
	if !IsConflict(err) {
		return etag, err
	}
	// The write may have been made by an attempt whose answer was lost.
	if found, readErr := c.Get(ctx, key, "", int64(len(body))); readErr == nil && bytes.Equal(found.Body, body) {
		return found.ETag, nil
	}
	return "", err
}

// A Name is a key, and the version of it that is meant; without one, whatever is current.
type Name struct {
	Key     string `xml:"Key"`
	Version string `xml:"VersionId,omitempty"`
}

// Most is how many names one request may have.
const Most = 1000

type deletion struct {
	XMLName xml.Name `xml:"Delete"`
	Quiet   bool     `xml:"Quiet"`
	Objects []Name   `xml:"Object"`
}

type deletionResult struct {
	Errors []struct {
		Name
		Code, Message string
	} `xml:"Error"`
}

// Delete removes up to Most objects: the version that a name has, else it sets a delete marker.
func (c *Client) Delete(ctx context.Context, names []Name) error {
	if len(names) == 0 {
		return nil
	}
	body, err := xml.Marshal(deletion{Quiet: true, Objects: names})
	if err != nil {
		return err
	}
	sum := md5.Sum(body)
	asked := request{method: http.MethodPost, query: url.Values{"delete": {""}}, body: body,
		header: map[string]string{"Content-Md5": base64.StdEncoding.EncodeToString(sum[:])}}
	return c.do(ctx, asked, func(response *http.Response) error {
		var result deletionResult
		if err := xml.NewDecoder(response.Body).Decode(&result); err != nil {
			return fmt.Errorf("reading the answer to a deletion: %w", err)
		}
		for _, failed := range result.Errors {
			switch failed.Code {
			case "NoSuchVersion", "NoSuchKey":
			case "AccessDenied":
				return &Error{http.StatusForbidden, failed.Code, failed.Message, "the deletion of " + failed.Key}
			default:
				return fmt.Errorf("the object store did not delete %s: %s %s", failed.Key, failed.Code, failed.Message)
			}
		}
		return nil
	})
}

// Versioning is what a bucket keeps of what is overwritten and deleted.
type Versioning struct {
	Status   string `xml:"Status"`
	Excluded []struct {
		Prefix string `xml:"Prefix"`
	} `xml:"ExcludedPrefixes"`
}

// Excludes says whether keys that match a pattern keep no versions.
func (v Versioning) Excludes(pattern string) bool {
	for _, excluded := range v.Excluded {
		if strings.TrimSuffix(excluded.Prefix, "*") == pattern {
			return true
		}
	}
	return false
}

// Versioning asks for the bucket's.
func (c *Client) Versioning(ctx context.Context) (Versioning, error) {
	var found Versioning
	asked := request{method: http.MethodGet, query: url.Values{"versioning": {""}}}
	err := c.do(ctx, asked, func(response *http.Response) error {
		return xml.NewDecoder(response.Body).Decode(&found)
	})
	return found, err
}

// Admin asks MinIO's administration API.
func (c *Client) Admin(ctx context.Context, path string, read func(io.Reader) error) error {
	return c.do(ctx, request{method: http.MethodGet, path: "/minio/admin/v3/" + path},
		func(response *http.Response) error { return read(response.Body) })
}
