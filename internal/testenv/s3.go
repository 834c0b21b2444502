package testenv

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/nuvla/nuvlaops/internal/testenv/images"
)

// s3Data is where the server keeps its objects.
const s3Data = "/data"

// S3Keys is one pair of credentials.
type S3Keys struct {
	Access, Secret string
}

// NewS3Keys returns random ones.
func NewS3Keys() S3Keys {
	return S3Keys{Access: "AK" + strings.ToUpper(randomHex(9)), Secret: randomHex(20)}
}

// S3Options says which S3 server to start. The zero value is right for most.
type S3Options struct {
	// Keys that the server accepts. Default: random ones.
	Keys S3Keys
	// Network that the server joins. Default: the network of this process.
	Network string
	// Port on 127.0.0.1. Default: a free one.
	Port int
	// DataSize in bytes puts the objects on a tmpfs of this size, for tests of a full disk. They do not outlive a Stop or Kill.
	// Default 0: on disk.
	DataSize int64
}

// S3 is a running S3 server (versitygw). A call to it takes 30 s at most.
type S3 struct {
	*Container
	http *http.Client

	mu   sync.Mutex
	keys S3Keys
}

// S3Object is one object of a bucket.
type S3Object struct {
	Key      string
	Size     int64
	Modified time.Time
}

// StartS3 starts a server and returns when it serves. The caller must Close it.
func StartS3(ctx context.Context, opts S3Options) (*S3, error) {
	if opts.Keys == (S3Keys{}) {
		opts.Keys = NewS3Keys()
	}
	image, err := resolve(ctx, images.S3, "")
	if err != nil {
		return nil, op("StartS3", "", err)
	}
	tmpfs := map[string]string{}
	if opts.DataSize > 0 {
		tmpfs[s3Data] = fmt.Sprintf("rw,size=%d", opts.DataSize)
	}
	c, err := run(ctx, spec{
		kind: "s3", tmpfs: tmpfs, image: image.Ref, network: opts.Network, port: images.S3Port, publish: opts.Port, serving: s3Serves,
		files: map[string]string{secretsPath + accessFile: opts.Keys.Access, secretsPath + secretFile: opts.Keys.Secret},
	})
	if err != nil {
		return nil, op("StartS3", "", err)
	}
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	return &S3{Container: c, http: client, keys: opts.Keys}, nil
}

// s3Serves: any answer of HTTP will do; without keys it is a 403.
func s3Serves(ctx context.Context, addr string) error {
	_, err := get(ctx, "http://"+addr+"/")
	if err != nil && strings.Contains(err.Error(), "403 ") {
		return nil
	}
	return err
}

// Endpoint is the server's URL for containers on the same network; give it as "endpoint" to a repository, with
// "path_style_access": true.
func (s *S3) Endpoint() string { return fmt.Sprintf("http://%s:%d", s.name, images.S3Port) }

// Keys are the credentials that the server accepts now.
func (s *S3) Keys() S3Keys {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys
}

// ChangeKeys makes the server accept these keys only; it is restarted. Buckets, objects and address stay.
func (s *S3) ChangeKeys(ctx context.Context, keys S3Keys) error {
	if err := s.Stop(ctx); err != nil {
		return op("ChangeKeys", s.name, err)
	}
	for file, value := range map[string]string{accessFile: keys.Access, secretFile: keys.Secret} {
		if err := s.write(ctx, secretsPath+file, value); err != nil {
			return op("ChangeKeys", s.name, err)
		}
	}
	s.mu.Lock()
	s.keys = keys
	s.mu.Unlock()
	return op("ChangeKeys", s.name, s.Start(ctx))
}

// CreateBucket makes a bucket (3 characters at least); one that exists is no error.
func (s *S3) CreateBucket(ctx context.Context, bucket string) error {
	_, err := s.call(ctx, http.MethodPut, bucket, "", nil, nil)
	if err != nil && (strings.Contains(err.Error(), "BucketAlreadyOwnedByYou") || strings.Contains(err.Error(), "BucketAlreadyExists")) {
		return nil
	}
	return op("CreateBucket", bucket, err)
}

// ListObjects returns all objects whose key starts with prefix, in order of their keys.
func (s *S3) ListObjects(ctx context.Context, bucket, prefix string) ([]S3Object, error) {
	var objects []S3Object
	query := url.Values{"list-type": {"2"}, "prefix": {prefix}}
	for {
		body, err := s.call(ctx, http.MethodGet, bucket, "", query, nil)
		if err != nil {
			return nil, op("ListObjects", bucket+"/"+prefix, err)
		}
		var page struct {
			Contents []struct {
				Key          string
				Size         int64
				LastModified time.Time
			}
			IsTruncated           bool
			NextContinuationToken string
		}
		if err := xml.Unmarshal(body, &page); err != nil {
			return nil, op("ListObjects", bucket+"/"+prefix, fmt.Errorf("read list: %w", err))
		}
		for _, o := range page.Contents {
			objects = append(objects, S3Object{Key: o.Key, Size: o.Size, Modified: o.LastModified})
		}
		if !page.IsTruncated {
			return objects, nil
		}
		query.Set("continuation-token", page.NextContinuationToken)
	}
}

// GetObject returns the content of an object.
func (s *S3) GetObject(ctx context.Context, bucket, key string) ([]byte, error) {
	body, err := s.call(ctx, http.MethodGet, bucket, key, nil, nil)
	return body, op("GetObject", bucket+"/"+key, err)
}

// PutObject writes an object, over one that is there.
func (s *S3) PutObject(ctx context.Context, bucket, key string, data []byte) error {
	_, err := s.call(ctx, http.MethodPut, bucket, key, nil, data)
	return op("PutObject", bucket+"/"+key, err)
}

// DeleteObject removes an object; one that is not there is no error.
func (s *S3) DeleteObject(ctx context.Context, bucket, key string) error {
	_, err := s.call(ctx, http.MethodDelete, bucket, key, nil, nil)
	if err != nil && strings.Contains(err.Error(), "NoSuchKey") {
		return nil
	}
	return op("DeleteObject", bucket+"/"+key, err)
}

// call sends one signed request, path style, and returns the body of a 2xx.
func (s *S3) call(ctx context.Context, method, bucket, key string, query url.Values, data []byte) ([]byte, error) {
	u := url.URL{Scheme: "http", Host: s.addr, Path: "/" + bucket, RawQuery: strings.ReplaceAll(query.Encode(), "+", "%20")}
	if key != "" {
		u.Path += "/" + key
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), strings.NewReader(string(data)))
	if err != nil {
		return nil, err
	}
	sign(req, s.Keys(), data, time.Now())
	res, err := s.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	if res.StatusCode/100 != 2 {
		var fault struct{ Code, Message string }
		_ = xml.Unmarshal(body, &fault)
		return nil, fmt.Errorf("%s: %s %s", res.Status, fault.Code, fault.Message)
	}
	return body, nil
}
