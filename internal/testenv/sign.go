package testenv

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// sign puts a Signature Version 4 of AWS on a request for S3 in region us-east-1. Its query must be encoded and sorted,
// with %20 for a space, as url.Values.Encode leaves it but for that.
// See https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html.
func sign(req *http.Request, keys S3Keys, body []byte, now time.Time) {
	stamp := now.UTC().Format("20060102T150405Z")
	scope := stamp[:8] + "/us-east-1/s3/aws4_request"
	hash := hexSum(body)
	req.Header.Set("X-Amz-Date", stamp)
	req.Header.Set("X-Amz-Content-Sha256", hash)
	req.URL.RawPath = encodePath(req.URL.Path)

	const signed = "host;x-amz-content-sha256;x-amz-date"
	canonical := strings.Join([]string{
		req.Method, req.URL.RawPath, req.URL.RawQuery,
		"host:" + req.URL.Host, "x-amz-content-sha256:" + hash, "x-amz-date:" + stamp, "",
		signed, hash,
	}, "\n")
	text := strings.Join([]string{"AWS4-HMAC-SHA256", stamp, scope, hexSum([]byte(canonical))}, "\n")

	key := []byte("AWS4" + keys.Secret)
	for _, part := range strings.Split(scope, "/") {
		key = mac(key, part)
	}
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+keys.Access+"/"+scope+
		", SignedHeaders="+signed+", Signature="+hex.EncodeToString(mac(key, text)))
}

// encodePath escapes each part of a path as S3 does: all but letters, digits, and -._~
func encodePath(path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		parts[i] = strings.ReplaceAll(url.QueryEscape(part), "+", "%20")
	}
	return strings.Join(parts, "/")
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
