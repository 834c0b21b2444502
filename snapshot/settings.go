package snapshot

import (
	"encoding/json"
	"maps"
	"strconv"
	"strings"
)

// Settings describe a repository: exactly one of S3 and FS, and what both have. Zero fields are not sent, so
// Elasticsearch's defaults hold. In JSON it is Elasticsearch's own form, {"type":"s3","settings":{"bucket":"b"}}.
//
// Access keys are never settings: they belong in the keystore of each node, as s3.client.default.access_key and
// secret_key (see Repo.ReloadSecrets).
type Settings struct {
	S3 *S3
	FS *FS
	// ReadOnly registers without the right to write: a cluster that recovers registers it so, since two clusters that
	// write to one repository corrupt it. Promote it by Ensure without ReadOnly.
	ReadOnly bool
	// Compress metadata; nil is the server's default, true.
	Compress *bool
	// ChunkSize splits larger files, as "1gb".
	ChunkSize string
	// MaxSnapshotBytesPerSec and MaxRestoreBytesPerSec limit each node, as "40mb".
	MaxSnapshotBytesPerSec, MaxRestoreBytesPerSec string
	// Other are further settings by their names. One that this package does not know is an error, since Elasticsearch
	// takes any name, unless AllowUnknown is set.
	Other        map[string]string
	AllowUnknown bool
}

// S3 are the settings of a repository in a bucket.
type S3 struct {
	Bucket string // required; it must exist
	// Endpoint as https://host or http://host:port; empty is Amazon's. Without a scheme https is assumed.
	Endpoint        string
	BasePath        string // folder in the bucket, without a slash at either end
	Region          string // needed by later servers where the endpoint is not Amazon's
	Client          string // name of the client in elasticsearch.yml and in the keystore; "default"
	PathStyleAccess bool
	Protocol        string // http or https, for an endpoint without a scheme
	BufferSize      string // largest single upload, at least 5mb; larger ones have several parts

	ServerSideEncryption bool
	StorageClass         string // standard, reduced_redundancy, standard_ia, onezone_ia, intelligent_tiering
	CannedACL            string // private, public-read, ...
}

// FS are the settings of a repository in a file system that all nodes share.
type FS struct {
	Location string // required; below a path.repo of every node
}

// Type is Elasticsearch's name of the kind of repository.
func (s Settings) Type() string {
	switch {
	case s.S3 != nil:
		return "s3"
	case s.FS != nil:
		return "fs"
	}
	return ""
}

// values are the settings by their names, as Elasticsearch gives them back: all text.
func (s Settings) values() map[string]string {
	out := maps.Clone(s.Other)
	if out == nil {
		out = map[string]string{}
	}
	set := func(name, value string) {
		if value != "" {
			out[name] = value
		}
	}
	flag := func(name string, value bool) {
		if value {
			out[name] = "true"
		}
	}
	flag("readonly", s.ReadOnly)
	if s.Compress != nil {
		set("compress", strconv.FormatBool(*s.Compress))
	}
	set("chunk_size", s.ChunkSize)
	set("max_snapshot_bytes_per_sec", s.MaxSnapshotBytesPerSec)
	set("max_restore_bytes_per_sec", s.MaxRestoreBytesPerSec)
	if s.FS != nil {
		set("location", s.FS.Location)
	}
	if b := s.S3; b != nil {
		set("bucket", b.Bucket)
		set("endpoint", b.Endpoint)
		set("base_path", b.BasePath)
		set("region", b.Region)
		set("client", b.Client)
		flag("path_style_access", b.PathStyleAccess)
		set("protocol", b.Protocol)
		set("buffer_size", b.BufferSize)
		flag("server_side_encryption", b.ServerSideEncryption)
		set("storage_class", b.StorageClass)
		set("canned_acl", b.CannedACL)
	}
	return out
}

// registration is a repository as Elasticsearch describes it.
type registration struct {
	Type     string
	Settings map[string]string
}

func (s Settings) registration() registration {
	return registration{Type: s.Type(), Settings: s.values()}
}

// MarshalJSON encodes Elasticsearch's form.
func (r registration) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]any{"type": r.Type, "settings": r.Settings})
}

// UnmarshalJSON decodes Elasticsearch's form; settings that it nests get their dotted names back.
func (r *registration) UnmarshalJSON(raw []byte) error {
	var d struct {
		Type     string         `json:"type"`
		Settings map[string]any `json:"settings"`
	}
	if err := json.Unmarshal(raw, &d); err != nil {
		return err
	}
	*r = registration{Type: d.Type, Settings: map[string]string{}}
	flatten("", d.Settings, r.Settings)
	return nil
}

func flatten(prefix string, from map[string]any, to map[string]string) {
	for k, v := range from {
		switch v := v.(type) {
		case map[string]any:
			flatten(prefix+k+".", v, to)
		case string:
			to[prefix+k] = v
		case nil:
		default:
			text, _ := json.Marshal(v)
			to[prefix+k] = strings.Trim(string(text), `"`)
		}
	}
}
