package cmd

import (
	"net/http"
	"strings"

	xhttp "github.com/minio/minio/internal/http"
)

// berthTrailer announces a body that no signature covers. Handlers write it without asking for a signature at all
// (CVE-2026-40344, CVE-2026-41145), and no client of Berth's sends it.
const berthTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"

// berthCheckSignature is a middleware before every handler: it refuses requests that name an access key without a valid signature.
func berthCheckSignature(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if code := berthSignatureError(r); code != ErrNone {
			writeErrorResponse(r.Context(), w, errorCodes.ToAPIErr(code), r.URL)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// berthReplication are beginnings of headers by which one site's MinIO writes to another's as it likes: without a right
// of its own, such a header makes an object unreadable (CVE-2026-34204). Berth has one site.
var berthReplication = []string{"X-Minio-Replication-", "X-Minio-Source-"}

func berthSignatureError(r *http.Request) APIErrorCode {
	for name := range r.Header {
		for _, beginning := range berthReplication {
			if strings.HasPrefix(name, beginning) {
				return ErrAccessDenied
			}
		}
	}
	query := r.URL.Query()
	for _, values := range [][]string{r.Header.Values(xhttp.AmzContentSha256), query[xhttp.AmzContentSha256]} {
		for _, value := range values {
			if strings.EqualFold(strings.TrimSpace(value), berthTrailer) {
				return ErrAccessDenied
			}
		}
	}
	v4, v2 := query.Has(xhttp.AmzCredential), query.Has(xhttp.AmzAccessKeyID)
	switch {
	case !v4 && !v2:
		// What stands in a header is verified by the handlers: none takes a key's name from there alone.
		return ErrNone
	case v4 && v2, r.Header.Get(xhttp.Authorization) != "", v4 && !query.Has(xhttp.AmzSignature):
		// Two credentials, of which one could be verified and the other one believed; or no signature at all.
		return ErrAccessDenied
	case v4:
		// Any region here; the handler asks for the right one.
		return reqSignatureV4Verify(r, "", serviceS3)
	default:
		return isReqAuthenticatedV2(r)
	}
}
