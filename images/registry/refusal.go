package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
)

// gone says whether an upstream's answer means that it does not have it, or no longer.
func gone(status int) bool {
	return status == http.StatusNotFound || status == http.StatusGone || status == http.StatusUnavailableForLegalReasons
}

func denied(status int) bool {
	return status == http.StatusUnauthorized || status == http.StatusForbidden
}

// result is the answer that a client gets: distribution's own where it succeeded or where the upstream has no part in the
// failure, else one that says what the upstream did. Distribution succeeds with a tag that is stored whatever the upstream
// says; here that is for upstreams that say nothing of use.
func (c *cache) result(q *question, inner *answer) *answer {
	status, retryAfter, err := q.learnt()
	if inner.status < 400 && (err != nil || !(gone(status) || denied(status))) {
		return inner
	}
	switch {
	case err != nil:
		return refusal(http.StatusBadGateway, "UNAVAILABLE", fmt.Sprintf("upstream %s can't be asked: %v", c.upstream, err))
	case status == http.StatusTooManyRequests:
		limited := refusal(status, "TOOMANYREQUESTS", fmt.Sprintf("upstream %s limits the rate of requests", c.upstream))
		if retryAfter != "" {
			limited.header.Set("Retry-After", retryAfter)
		}
		return limited
	case denied(status):
		// Not a 401: a client would take it for its own password, which is right.
		return refusal(http.StatusBadGateway, "DENIED", fmt.Sprintf(
			"upstream %s refused the credentials of this cache (%d), or has no such repository", c.upstream, status))
	case status >= 500 || (status >= 400 && !gone(status)):
		return refusal(http.StatusBadGateway, "UNAVAILABLE", fmt.Sprintf("upstream %s answered %d", c.upstream, status))
	case gone(status) && inner.status != http.StatusNotFound:
		code := "MANIFEST_UNKNOWN"
		if q.blob != nil || q.headOnly {
			code = "BLOB_UNKNOWN"
		}
		return refusal(http.StatusNotFound, code, fmt.Sprintf("upstream %s does not have it", c.upstream))
	case status == http.StatusOK && inner.status >= 500:
		return refusal(http.StatusBadGateway, "UNAVAILABLE", fmt.Sprintf(
			"what upstream %s sent is no use, or can't be stored; the log of this cache has the reason", c.upstream))
	}
	return framed(inner)
}

// framed is an error with the length that it has: distribution leaves the blob's there.
func framed(inner *answer) *answer {
	for _, name := range []string{"Content-Length", "Docker-Content-Digest", "Etag", "Cache-Control"} {
		inner.header.Del(name)
	}
	inner.header.Set("Content-Length", strconv.Itoa(inner.body.Len()))
	return inner
}

// refusal is an error in the words of the distribution specification.
func refusal(status int, code, message string) *answer {
	made := &answer{status: status, header: http.Header{"Content-Type": {"application/json"}}}
	type problem struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	json.NewEncoder(&made.body).Encode(map[string][]problem{"errors": {{code, message}}})
	return framed(made)
}
