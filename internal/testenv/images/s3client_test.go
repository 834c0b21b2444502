package images_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/nuvla/nuvlaops/internal/testenv/images"
)

const (
	accessKey = "AKIAIMAGESTEST"
	secretKey = "secret-of-the-images-test"
)

// s3Server is an S3 server of this test.
type s3Server struct{ container }

func startS3(t *testing.T, network string) s3Server {
	t.Helper()
	s := s3Server{start(t, network, assembled(t, images.Spec{Name: images.S3}), images.S3Port, nil, secrets())}
	eventually(t, "S3 server", func() error {
		a, err := s.request(t, http.MethodGet, "/", nil)
		if err == nil && a.status != http.StatusOK {
			err = fmt.Errorf("%s", a)
		}
		return err
	})
	return s
}

// secrets are the files that the S3 server and Elasticsearch read.
func secrets() map[string]string {
	return map[string]string{"run/secrets/s3_access_key": accessKey, "run/secrets/s3_secret_key": secretKey + "\n"}
}

func (s s3Server) makeBucket(t *testing.T, name string) {
	t.Helper()
	a, err := s.request(t, http.MethodPut, "/"+name, nil)
	if err != nil || a.status != http.StatusOK {
		t.Fatalf("make bucket %s: %s, %v", name, a, err)
	}
}

// object is one entry of a listing.
type object struct {
	Key  string
	Size int64
	ETag string
}

func (s s3Server) objects(t *testing.T, bucket, prefix string) []object {
	t.Helper()
	a, err := s.request(t, http.MethodGet, "/"+bucket, url.Values{"list-type": {"2"}, "prefix": {prefix}})
	if err != nil || a.status != http.StatusOK {
		t.Fatalf("list %s: %s, %v", bucket, a, err)
	}
	var listing struct{ Contents []object }
	if err := xml.Unmarshal(a.body, &listing); err != nil {
		t.Fatal(err)
	}
	return listing.Contents
}

// uploads is how many multipart uploads were begun and neither completed nor aborted.
func (s s3Server) uploads(t *testing.T, bucket string) int {
	t.Helper()
	a, err := s.request(t, http.MethodGet, "/"+bucket, url.Values{"uploads": {""}})
	if err != nil || a.status != http.StatusOK {
		t.Fatalf("list uploads of %s: %s, %v", bucket, a, err)
	}
	var listing struct {
		Upload []struct{ Key string }
	}
	if err := xml.Unmarshal(a.body, &listing); err != nil {
		t.Fatal(err)
	}
	return len(listing.Upload)
}

// request signs by AWS signature version 4, for requests without a body.
func (s s3Server) request(t *testing.T, method, path string, query url.Values) (answer, error) {
	request, err := http.NewRequestWithContext(t.Context(), method, s.url+path+"?"+query.Encode(), nil)
	if err != nil {
		return answer{}, err
	}
	now := time.Now().UTC()
	day, stamp := now.Format("20060102"), now.Format("20060102T150405Z")
	empty := hexSum("")
	request.Header.Set("X-Amz-Date", stamp)
	request.Header.Set("X-Amz-Content-Sha256", empty)
	const signed = "host;x-amz-content-sha256;x-amz-date"
	canonical := fmt.Sprintf("%s\n%s\n%s\nhost:%s\nx-amz-content-sha256:%s\nx-amz-date:%s\n\n%s\n%s",
		method, path, query.Encode(), request.URL.Host, empty, stamp, signed, empty)
	scope := day + "/us-east-1/s3/aws4_request"
	key := []byte("AWS4" + secretKey)
	for _, part := range []string{day, "us-east-1", "s3", "aws4_request"} {
		key = mac(key, part)
	}
	signature := hex.EncodeToString(mac(key, "AWS4-HMAC-SHA256\n"+stamp+"\n"+scope+"\n"+hexSum(canonical)))
	request.Header.Set("Authorization",
		fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s", accessKey, scope, signed, signature))
	return do(request)
}

func hexSum(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func mac(key []byte, s string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(s))
	return h.Sum(nil)
}
