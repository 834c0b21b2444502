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

func TestEverySettingHasElasticsearchsNameAndComesBack(t *testing.T) {
	no := false
	common := snapshot.Settings{ReadOnly: true, Compress: &no, ChunkSize: "1gb", MaxSnapshotBytesPerSec: "40mb", MaxRestoreBytesPerSec: "80mb"}
	s3, fs := common, common
	s3.S3 = &snapshot.S3{Bucket: "bbb", Endpoint: "http://e:9", BasePath: "p/q", Region: "r", Client: "c", PathStyleAccess: true, Protocol: "http",
		BufferSize: "5mb", ServerSideEncryption: true, StorageClass: "standard_ia", CannedACL: "private"}
	s3.Other = map[string]string{"cacheable": "true", "max_retries": "3"}
	fs.FS, fs.Other = &snapshot.FS{Location: "/x"}, map[string]string{}
	for _, tc := range []struct {
		settings snapshot.Settings
		want     string
	}{
		{fs, `{"settings":{"chunk_size":"1gb","compress":"false","location":"/x","max_restore_bytes_per_sec":"80mb","max_snapshot_bytes_per_sec":"40mb","readonly":"true"},"type":"fs"}`},
		{s3, `{"settings":{"base_path":"p/q","bucket":"bbb","buffer_size":"5mb","cacheable":"true","canned_acl":"private","chunk_size":"1gb","client":"c","compress":"false",` +
			`"endpoint":"http://e:9","max_restore_bytes_per_sec":"80mb","max_retries":"3","max_snapshot_bytes_per_sec":"40mb","path_style_access":"true","protocol":"http",` +
			`"readonly":"true","region":"r","server_side_encryption":"true","storage_class":"standard_ia"},"type":"s3"}`},
	} {
		if err := tc.settings.Validate(); err != nil {
			t.Error(err)
		}
		raw, err := json.Marshal(tc.settings)
		if diff := cmp.Diff(tc.want, string(raw)); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		var back snapshot.Settings
		if err := json.Unmarshal(raw, &back); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(tc.settings, back); diff != "" {
			t.Errorf("read back (-want +got):\n%s", diff)
		}
	}
	if err := json.Unmarshal([]byte(`{"type":"azure"}`), new(snapshot.Settings)); !errors.Is(err, nuvlaops.ErrInvalid) {
		t.Errorf("of another kind: %v", err)
	}
	var odd snapshot.Settings // what the server would refuse is shown as it is, and not taken for "no"
	if err := json.Unmarshal([]byte(`{"type":"fs","settings":{"location":"/x","readonly":"maybe","compress":"some"}}`), &odd); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(map[string]string{"readonly": "maybe", "compress": "some"}, odd.Other); diff != "" {
		t.Error(diff)
	}
	if err := odd.Validate(); !errors.Is(err, nuvlaops.ErrInvalid) {
		t.Errorf("got %v, want ErrInvalid", err)
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
		{"a slash behind the folder", s3(func(b *snapshot.S3) { b.BasePath = "es/" }), "leave out the slashes"},
		{"an endpoint that is no URL", s3(func(b *snapshot.S3) { b.Endpoint = "http://[::1" }), "no address"},
		{"an endpoint with a path", s3(func(b *snapshot.S3) { b.Endpoint = "https://host/bucket" }), "holds a path"},
		{"an endpoint of another kind", s3(func(b *snapshot.S3) { b.Endpoint = "s3://host" }), "no address"},
		{"a wrong protocol", s3(func(b *snapshot.S3) { b.Protocol = "ftp" }), "protocol"},
		{"an archive", s3(func(b *snapshot.S3) { b.StorageClass = "glacier" }), "cannot be read back"},
		{"a wrong ACL", s3(func(b *snapshot.S3) { b.CannedACL = "everybody" }), "canned ACL"},
		{"a wrong size", snapshot.Settings{FS: &snapshot.FS{Location: "/x"}, ChunkSize: "1 gigabyte"}, "no size"},
		{"a wrong limit", snapshot.Settings{FS: &snapshot.FS{Location: "/x"}, MaxSnapshotBytesPerSec: "fast"}, "no size"},
		{"another wrong limit", snapshot.Settings{FS: &snapshot.FS{Location: "/x"}, MaxRestoreBytesPerSec: "fast"}, "no size"},
		{"no folder", snapshot.Settings{FS: &snapshot.FS{}}, "without a location"},
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
