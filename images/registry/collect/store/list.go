package store

import (
	"context"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// A Version is one state of a key, in the order of a listing: newest first.
type Version struct {
	Key      string
	ID       string
	Latest   bool
	Marker   bool
	Bytes    int64
	Modified time.Time
}

type listed struct {
	XMLName  xml.Name
	Key      string    `xml:"Key"`
	ID       string    `xml:"VersionId"`
	Latest   bool      `xml:"IsLatest"`
	Size     int64     `xml:"Size"`
	Modified time.Time `xml:"LastModified"`
	Prefix   string    `xml:"Prefix"`
}

type page struct {
	Truncated   bool     `xml:"IsTruncated"`
	NextToken   string   `xml:"NextContinuationToken"`
	NextKey     string   `xml:"NextKeyMarker"`
	NextVersion string   `xml:"NextVersionIdMarker"`
	Entries     []listed `xml:",any"`
}

// Versions calls found for every version of every key below a prefix.
func (c *Client) Versions(ctx context.Context, prefix string, found func(Version) error) error {
	query := url.Values{"versions": {""}, "prefix": {prefix}, "max-keys": {"1000"}, "encoding-type": {"url"}}
	return c.pages(ctx, query, func(got page) error {
		for _, entry := range got.Entries {
			if entry.XMLName.Local != "Version" && entry.XMLName.Local != "DeleteMarker" {
				continue
			}
			key, err := url.QueryUnescape(entry.Key)
			if err != nil {
				return fmt.Errorf("the object store listed a key that cannot be read: %q", entry.Key)
			}
			version := Version{Key: key, ID: entry.ID, Latest: entry.Latest, Bytes: entry.Size,
				Marker: entry.XMLName.Local == "DeleteMarker", Modified: entry.Modified}
			if err := found(version); err != nil {
				return err
			}
		}
		query.Set("key-marker", got.NextKey)
		query.Set("version-id-marker", got.NextVersion)
		return nil
	})
}

// Keys calls found for every current key below a prefix.
func (c *Client) Keys(ctx context.Context, prefix string, found func(string) error) error {
	return c.current(ctx, prefix, "", "Contents", func(entry listed) string { return entry.Key }, found)
}

// Folders calls found for every name below a prefix that has keys below it, with the slash that ends it.
func (c *Client) Folders(ctx context.Context, prefix string, found func(string) error) error {
	return c.current(ctx, prefix, "/", "CommonPrefixes", func(entry listed) string { return entry.Prefix }, found)
}

func (c *Client) current(
	ctx context.Context, prefix, delimiter, kind string, name func(listed) string, found func(string) error,
) error {
	query := url.Values{"list-type": {"2"}, "prefix": {prefix}, "max-keys": {"1000"}, "encoding-type": {"url"}}
	if delimiter != "" {
		query.Set("delimiter", delimiter)
	}
	return c.pages(ctx, query, func(got page) error {
		for _, entry := range got.Entries {
			if entry.XMLName.Local != kind {
				continue
			}
			key, err := url.QueryUnescape(name(entry))
			if err != nil {
				return fmt.Errorf("the object store listed a key that cannot be read: %q", name(entry))
			}
			if err := found(key); err != nil {
				return err
			}
		}
		query.Set("continuation-token", got.NextToken)
		return nil
	})
}

// pages asks for a listing until its end. A page is read whole before anything of it is used, so that a repetition of a
// request that broke off finds nothing twice.
func (c *Client) pages(ctx context.Context, query url.Values, use func(page) error) error {
	for {
		var got page
		err := c.do(ctx, request{method: http.MethodGet, query: query}, func(response *http.Response) error {
			got = page{}
			if err := xml.NewDecoder(response.Body).Decode(&got); err != nil {
				return fmt.Errorf("reading a listing: %w", err)
			}
			return nil
		})
		if err != nil {
			return err
		}
		if err := use(got); err != nil {
			return err
		}
		if !got.Truncated {
			return nil
		}
		if got.NextToken == "" && got.NextKey == "" {
			return fmt.Errorf("the object store cut a listing of %s short", query.Get("prefix"))
		}
	}
}
