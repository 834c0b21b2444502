package snapshot

import (
	"encoding/json"
	"fmt"

	"github.com/nuvla/nuvlaops"
)

// MarshalJSON encodes Elasticsearch's form.
func (s Settings) MarshalJSON() ([]byte, error) { return json.Marshal(s.registration()) }

// UnmarshalJSON decodes Elasticsearch's form, such as a file that is sent with curl today. Names that have no field go
// into Other.
func (s *Settings) UnmarshalJSON(raw []byte) error {
	var r registration
	if err := json.Unmarshal(raw, &r); err != nil {
		return err
	}
	out, err := settingsOf(r)
	if err == nil {
		*s = out
	}
	return err
}

// settingsOf is the typed form of a registration.
func settingsOf(r registration) (Settings, error) {
	s := Settings{Other: map[string]string{}}
	text := map[string]*string{"chunk_size": &s.ChunkSize, "max_snapshot_bytes_per_sec": &s.MaxSnapshotBytesPerSec,
		"max_restore_bytes_per_sec": &s.MaxRestoreBytesPerSec}
	flags := map[string]*bool{"readonly": &s.ReadOnly}
	switch r.Type {
	case "s3":
		b := &S3{}
		s.S3 = b
		for name, field := range map[string]*string{"bucket": &b.Bucket, "endpoint": &b.Endpoint, "base_path": &b.BasePath,
			"region": &b.Region, "client": &b.Client, "protocol": &b.Protocol, "buffer_size": &b.BufferSize,
			"storage_class": &b.StorageClass, "canned_acl": &b.CannedACL} {
			text[name] = field
		}
		flags["path_style_access"], flags["server_side_encryption"] = &b.PathStyleAccess, &b.ServerSideEncryption
	case "fs":
		s.FS = &FS{}
		text["location"] = &s.FS.Location
	default:
		return Settings{}, &nuvlaops.Error{Reason: fmt.Sprintf("repository type %q", r.Type),
			Hint: "use s3 or fs", Err: nuvlaops.ErrInvalid}
	}
	for name, value := range r.Settings {
		switch {
		case text[name] != nil:
			*text[name] = value
		case flags[name] != nil && (value == "true" || value == "false"):
			*flags[name] = value == "true"
		case name == "compress" && (value == "true" || value == "false"):
			yes := value == "true"
			s.Compress = &yes
		default:
			s.Other[name] = value
		}
	}
	return s, nil
}
