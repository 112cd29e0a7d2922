package store

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func serve(t *testing.T, handler http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	made, err := New(Options{Endpoint: server.URL, Region: "us-east-1", Bucket: "bucket", AccessKey: "a", SecretKey: "b"})
	if err == nil {
		err = made.Synchronize(context.Background())
	}
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestRequestsAreSignedByTheStoresClock(t *testing.T) {
	ahead := time.Now().Add(time.Hour).UTC()
	signed := ""
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", ahead.Format(http.TimeFormat))
		signed = r.Header.Get("X-Amz-Date")
	})
	if _, err := client.Exists(context.Background(), "key"); err != nil {
		t.Fatal(err)
	}
	at, err := time.Parse("20060102T150405Z", signed)
	if err != nil || at.Sub(ahead).Abs() > 5*time.Second || client.Now().Sub(ahead).Abs() > 5*time.Second {
		t.Errorf("signed at %s, the store's clock is at %s", signed, ahead)
	}
}

func TestAListingIsReadToItsEndInOrder(t *testing.T) {
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat))
		if r.URL.Query().Get("key-marker") == "" {
			_, _ = io.WriteString(w, `<R><IsTruncated>true</IsTruncated><NextKeyMarker>a%2B1</NextKeyMarker><NextVersionIdMarker>1</NextVersionIdMarker>
				<DeleteMarker><Key>a%2B1</Key><VersionId>2</VersionId><IsLatest>true</IsLatest></DeleteMarker>
				<Version><Key>a%2B1</Key><VersionId>1</VersionId><Size>7</Size></Version></R>`)
			return
		}
		_, _ = io.WriteString(w, `<R><Version><Key>b</Key><VersionId>3</VersionId><IsLatest>true</IsLatest></Version></R>`)
	})
	var found []string
	err := client.Versions(context.Background(), "", func(version Version) error {
		found = append(found, version.Key+" "+version.ID)
		if version.Marker != (version.ID == "2") {
			t.Errorf("%+v", version)
		}
		return nil
	})
	if got := strings.Join(found, ", "); err != nil || got != "a+1 2, a+1 1, b 3" {
		t.Errorf("%s %v", got, err)
	}
}

func TestARequestIsRepeatedOnlyWhereThatMayHelp(t *testing.T) {
	for status, want := range map[int]int{200: 1, 403: 1, 404: 1, 412: 1, 503: 2, 500: 2} {
		asked := 0
		client := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat))
			if r.Method == http.MethodGet {
				if asked++; asked == 1 {
					w.WriteHeader(status)
				}
			}
		})
		_, err := client.Get(context.Background(), "key", "", 10)
		if asked != want || (err == nil) != (status == 200 || want == 2) {
			t.Errorf("%d: asked %d times, %v", status, asked, err)
		}
	}
}

func TestADeletionThatTheStoreRefusesIsAnError(t *testing.T) {
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat))
		if r.Method == http.MethodPost {
			_, _ = io.WriteString(w, `<DeleteResult><Error><Key>a</Key><Code>AccessDenied</Code><Message>no</Message></Error></DeleteResult>`)
		}
	})
	err := client.Delete(context.Background(), []Name{{Key: "a"}})
	if err == nil || !strings.Contains(err.Error(), "AccessDenied") {
		t.Error(err)
	}
}
