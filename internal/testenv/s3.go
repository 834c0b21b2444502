package testenv

import (
	"context"
	"time"
)

// S3Keys is one pair of credentials.
type S3Keys struct {
	Access, Secret string
}

// S3Options says which S3 server to start. The zero value is right for most.
type S3Options struct {
	// Keys that the server accepts. Default: random ones.
	Keys S3Keys
	// Network that the server joins. Default: the network of this process.
	Network string
	// Port on 127.0.0.1. Default: a free one.
	Port int
}

// S3 is a running S3 server (versitygw). Every call waits 30 s at most.
type S3 struct {
	*Container
}

// S3Object is one object of a bucket.
type S3Object struct {
	Key      string
	Size     int64
	Modified time.Time
}

// StartS3 starts a server and returns when it serves. The caller must Close it.
func StartS3(ctx context.Context, opts S3Options) (*S3, error) { return nil, errTodo }

// Endpoint is the server's URL for containers on the same network; give it as "endpoint" to a repository, with
// "path_style_access": true.
func (s *S3) Endpoint() string { return "" }

// HostEndpoint is the server's URL on this machine.
func (s *S3) HostEndpoint() string { return "" }

// Keys are the credentials that the server accepts now.
func (s *S3) Keys() S3Keys { return S3Keys{} }

// ChangeKeys makes the server accept these keys only. Buckets, objects and address stay.
func (s *S3) ChangeKeys(ctx context.Context, keys S3Keys) error { return errTodo }

// CreateBucket makes a bucket (3 characters at least); one that exists is no error.
func (s *S3) CreateBucket(ctx context.Context, bucket string) error { return errTodo }

// ListObjects returns all objects whose key starts with prefix, in order of their keys.
func (s *S3) ListObjects(ctx context.Context, bucket, prefix string) ([]S3Object, error) {
	return nil, errTodo
}

// GetObject returns the content of an object.
func (s *S3) GetObject(ctx context.Context, bucket, key string) ([]byte, error) { return nil, errTodo }

// PutObject writes an object, over one that is there.
func (s *S3) PutObject(ctx context.Context, bucket, key string, data []byte) error { return errTodo }

// DeleteObject removes an object; one that is not there is no error.
func (s *S3) DeleteObject(ctx context.Context, bucket, key string) error { return errTodo }
