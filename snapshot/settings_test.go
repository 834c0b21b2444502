package snapshot_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/snapshot"
)

func TestTheFileThatIsSentTodayIsRead(t *testing.T) {
	const today = `{"type":"s3","settings":{"bucket":"nuvla-es-backup","endpoint":"sos-ch-dk-2.exo.io","max_retries":"3","compress":true,"readonly":"true"}}`
	var got snapshot.Settings
	if err := json.Unmarshal([]byte(today), &got); err != nil {
		t.Fatal(err)
	}
	yes := true
	want := snapshot.Settings{S3: &snapshot.S3{Bucket: "nuvla-es-backup", Endpoint: "sos-ch-dk-2.exo.io"}, ReadOnly: true, Compress: &yes,
		Other: map[string]string{"max_retries": "3"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if err := got.Validate(); err != nil {
		t.Error(err)
	}
	raw, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	const back = `{"settings":{"bucket":"nuvla-es-backup","compress":"true","endpoint":"sos-ch-dk-2.exo.io","max_retries":"3","readonly":"true"},"type":"s3"}`
	if diff := cmp.Diff(back, string(raw)); diff != "" {
		t.Error(diff)
	}
}

func TestSettingsThatElasticsearchWouldSwallowAreRefused(t *testing.T) {
	s3 := func(change func(*snapshot.S3)) snapshot.Settings {
		b := &snapshot.S3{Bucket: "nuvla-es-backup", Endpoint: "https://sos-ch-dk-2.exo.io"}
		change(b)
		return snapshot.Settings{S3: b}
	}
	other := func(name, value string) snapshot.Settings {
		s := s3(func(*snapshot.S3) {})
		s.Other = map[string]string{name: value}
		return s
	}
	for _, tc := range []struct {
		name     string
		settings snapshot.Settings
		says     string // empty: valid
	}{
		{"today's endpoint without a scheme", s3(func(b *snapshot.S3) { b.Endpoint = "sos-ch-dk-2.exo.io" }), ""},
		{"an endpoint with a port", s3(func(b *snapshot.S3) { b.Endpoint = "http://minio:9000/" }), ""},
		{"a folder", s3(func(b *snapshot.S3) { b.BasePath = "nuvla/es" }), ""},
		{"a known setting without a field", other("max_retries", "3"), ""},
		{"fs", snapshot.Settings{FS: &snapshot.FS{Location: "/backup"}, MaxSnapshotBytesPerSec: "200MB"}, ""},
		{"both kinds", snapshot.Settings{S3: &snapshot.S3{Bucket: "bbb"}, FS: &snapshot.FS{Location: "/x"}}, "exactly one"},
		{"no bucket", s3(func(b *snapshot.S3) { b.Bucket = "" }), "without a bucket"},
		{"a bucket as URL", s3(func(b *snapshot.S3) { b.Bucket = "s3://b" }), "bucket name"},
		{"a bucket with a folder", s3(func(b *snapshot.S3) { b.Bucket = "bucket/folder" }), "BasePath"},
		{"slashes around the folder", s3(func(b *snapshot.S3) { b.BasePath = "/es" }), "leave out the slashes"},
		{"an endpoint with a path", s3(func(b *snapshot.S3) { b.Endpoint = "https://host/bucket" }), "holds a path"},
		{"an endpoint of another kind", s3(func(b *snapshot.S3) { b.Endpoint = "s3://host" }), "no address"},
		{"a wrong protocol", s3(func(b *snapshot.S3) { b.Protocol = "ftp" }), "protocol"},
		{"an archive", s3(func(b *snapshot.S3) { b.StorageClass = "glacier" }), "cannot be read back"},
		{"a wrong ACL", s3(func(b *snapshot.S3) { b.CannedACL = "everybody" }), "canned ACL"},
		{"a wrong size", snapshot.Settings{FS: &snapshot.FS{Location: "/x"}, ChunkSize: "1 gigabyte"}, "no size"},
		{"a wrong buffer size", s3(func(b *snapshot.S3) { b.BufferSize = "many" }), "no size"},
		{"a misspelt setting", other("base-path", "es"), "did you mean base_path?"},
		{"a setting nobody knows", other("bucket_name", "es"), "takes any name"},
		{"a field among the others", other("bucket", "es"), "field of its own"},
		{"an access key", other("access_key", "AKIA0SECRET"), "keystore"},
		{"a secret of a client", other("s3.client.default.secret_key", "AKIA0SECRET"), "keystore"},
	} {
		err := tc.settings.Validate()
		if tc.says == "" {
			if err != nil {
				t.Errorf("%s: %v", tc.name, err)
			}
			continue
		}
		if !errors.Is(err, nuvlaops.ErrInvalid) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: got %v, want it to say %q", tc.name, err, tc.says)
		}
		if err != nil && strings.Contains(err.Error(), "AKIA0SECRET") {
			t.Errorf("%s: the error holds the secret: %v", tc.name, err)
		}
	}
	known := other("bucket_name", "es")
	known.AllowUnknown = true
	if err := known.Validate(); err != nil {
		t.Error(err)
	}
}

func TestCredentialsInAnEndpointAreRefusedAndNotShown(t *testing.T) {
	err := snapshot.Settings{S3: &snapshot.S3{Bucket: "bucket", Endpoint: "https://AKIA:TOPSECRET@host"}}.Validate()
	if !errors.Is(err, nuvlaops.ErrInvalid) || strings.Contains(err.Error(), "TOPSECRET") {
		t.Errorf("got %v", err)
	}
}
