package testenv_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/internal/testenv"
)

func TestS3KeepsBucketsThroughKillAndChangeOfKeys(t *testing.T) {
	s3 := testenv.UseS3(t, testenv.S3Options{})
	ctx, bucket := t.Context(), "my-bucket"
	for range 2 { // again is no error
		if err := s3.CreateBucket(ctx, bucket); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string][]byte{"a/plain": []byte("one"), "a/odd name+100% (ü).txt": {0, 1, 2}, "b/empty": {}}
	for key, data := range want {
		if err := s3.PutObject(ctx, bucket, key, data); err != nil {
			t.Fatal(err)
		}
	}
	addr := s3.Addr()
	if err := s3.Kill(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s3.Start(ctx); err != nil {
		t.Fatal(err)
	}
	old := s3.Keys()
	if err := s3.ChangeKeys(ctx, testenv.NewS3Keys()); err != nil {
		t.Fatal(err)
	}
	if s3.Keys() == old || s3.Addr() != addr {
		t.Errorf("keys are the same: %t; address was %s, is %s", s3.Keys() == old, addr, s3.Addr())
	}
	for key, data := range want {
		if got, err := s3.GetObject(ctx, bucket, key); err != nil || !bytes.Equal(got, data) {
			t.Errorf("GetObject(%q) = %q, %v; want %q", key, got, err, data)
		}
	}
	if err := s3.DeleteObject(ctx, bucket, "a/plain"); err != nil {
		t.Fatal(err)
	}
	objects, err := s3.ListObjects(ctx, bucket, "a/")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a/odd name+100% (ü).txt 3"}, names(objects)); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
}

func names(objects []testenv.S3Object) (out []string) {
	for _, o := range objects {
		out = append(out, fmt.Sprint(o.Key, " ", o.Size))
	}
	return out
}

func TestPausedServerAcceptsAndNeverAnswers(t *testing.T) {
	s3 := testenv.UseS3(t, testenv.S3Options{})
	if err := s3.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := s3.CreateBucket(short, "paused"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("from a paused server: %v", err)
	}
	if err := s3.Unpause(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s3.CreateBucket(t.Context(), "goes-on"); err != nil {
		t.Error(err)
	}
}
