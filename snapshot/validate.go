package snapshot

import (
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Validate returns an error that matches ErrInvalid for what Elasticsearch would refuse, or, worse, swallow.
func (s Settings) Validate() error {
	if (s.S3 == nil) == (s.FS == nil) {
		return invalid("want exactly one of S3 and FS", "")
	}
	for _, check := range []func() error{s.validateKind, s.validateSizes, s.validateOther} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (s Settings) validateKind() error {
	if s.FS != nil {
		if s.FS.Location == "" {
			return invalid("fs repository without a location", "name a folder below a path.repo of every node")
		}
		return nil
	}
	return s.S3.validate()
}

// bucketName is Amazon's rule without its finer points, which other servers do not share.
var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$`)

func (b *S3) validate() error {
	switch {
	case b.Bucket == "":
		return invalid("s3 repository without a bucket", "name the bucket, and create it first")
	case !bucketName.MatchString(b.Bucket):
		return invalid(fmt.Sprintf("bucket name %q", b.Bucket), "3 to 63 lower-case letters, digits, dots and hyphens; no URL, no path: a folder in it is BasePath")
	case strings.HasPrefix(b.BasePath, "/") || strings.HasSuffix(b.BasePath, "/"):
		return invalid(fmt.Sprintf("base path %q", b.BasePath), "leave out the slashes at its ends: the keys would begin with an empty folder")
	case !slices.Contains([]string{"", "http", "https"}, b.Protocol):
		return invalid(fmt.Sprintf("protocol %q", b.Protocol), "http or https")
	case !slices.Contains(storageClasses, b.StorageClass):
		return invalid(fmt.Sprintf("storage class %q", b.StorageClass), "one of "+strings.Join(storageClasses[1:], ", ")+"; archives such as glacier cannot be read back")
	case !slices.Contains(cannedACLs, b.CannedACL):
		return invalid(fmt.Sprintf("canned ACL %q", b.CannedACL), "one of "+strings.Join(cannedACLs[1:], ", "))
	}
	return b.validateEndpoint()
}

var (
	storageClasses = []string{"", "standard", "reduced_redundancy", "standard_ia", "onezone_ia", "intelligent_tiering"}
	cannedACLs     = []string{"", "private", "public-read", "public-read-write", "authenticated-read", "log-delivery-write",
		"bucket-owner-read", "bucket-owner-full-control"}
)

func (b *S3) validateEndpoint() error {
	if b.Endpoint == "" {
		return nil
	}
	text := b.Endpoint
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https"):
		return invalid("endpoint is no address", "https://host or http://host:port")
	case u.User != nil:
		return invalid("endpoint holds credentials", "put keys into the keystore of each node")
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "":
		return invalid("endpoint holds a path", "the bucket is a setting of its own, a folder in it is BasePath")
	}
	return nil
}

var size = regexp.MustCompile(`^(-1|0|[0-9]+(\.[0-9]+)?(b|kb|mb|gb|tb|pb))$`)

func (s Settings) validateSizes() error {
	sizes := map[string]string{"ChunkSize": s.ChunkSize, "MaxSnapshotBytesPerSec": s.MaxSnapshotBytesPerSec, "MaxRestoreBytesPerSec": s.MaxRestoreBytesPerSec}
	if s.S3 != nil {
		sizes["S3.BufferSize"] = s.S3.BufferSize
	}
	for _, name := range slices.Sorted(maps.Keys(sizes)) {
		if v := sizes[name]; v != "" && !size.MatchString(strings.ToLower(v)) {
			return invalid(fmt.Sprintf("%s %q is no size", name, v), "a number with its unit, as 40mb")
		}
	}
	return nil
}

// secretSettings must be in the keystore. Elasticsearch refuses them, and keeps the repository that holds them.
var secretSettings = []string{"access_key", "secret_key", "session_token", "proxy.password", "proxy.username"}

// knownSettings beside those with a field, by type; of 8.11 to 9.x.
var knownSettings = map[string][]string{
	"": {"max_number_of_snapshots", "cacheable", "uuid", "io_buffer_size", "allow_concurrent_modification"},
	"s3": {"add_purpose_custom_query_parameter", "copy_max_size", "delete_objects_max_size", "disable_chunked_encoding",
		"get_register_retry_delay", "location_mode", "max_copy_size_before_multipart", "max_multipart_parts",
		"max_multipart_upload_cleanup_size", "max_retries", "proxy.host", "proxy.port", "proxy.scheme", "read_timeout",
		"signer_override", "throttled_delete_retry.delay_increment", "throttled_delete_retry.max_number_of_retries",
		"throttled_delete_retry.maximum_delay", "unsafely_incompatible_with_s3_conditional_writes", "use_throttle_retries",
		"max_connections", "connection_max_idle_time"},
	"fs": {},
}

func (s Settings) validateOther() error {
	fields := fieldNames(s.Type())
	for _, name := range slices.Sorted(maps.Keys(s.Other)) {
		switch {
		case slices.ContainsFunc(secretSettings, func(secret string) bool { return name == secret || strings.HasSuffix(name, "."+secret) }):
			return invalid(fmt.Sprintf("setting %q does not belong into a repository", name),
				"put it into the keystore of each node (s3.client.default.access_key, ...) and reload the secrets")
		case slices.Contains(fields, name):
			return invalid(fmt.Sprintf("setting %q among Other", name), "it has a field of its own")
		case !s.AllowUnknown && !slices.Contains(knownSettings[""], name) && !slices.Contains(knownSettings[s.Type()], name):
			return invalid(fmt.Sprintf("setting %q is not known", name), didYouMean(name, slices.Concat(fields, knownSettings[s.Type()]))+
				"Elasticsearch takes any name without a word; allow unknown settings if this server knows it")
		}
	}
	return nil
}

// fieldNames are the settings that have a field.
func fieldNames(typ string) []string {
	names := []string{"readonly", "compress", "chunk_size", "max_snapshot_bytes_per_sec", "max_restore_bytes_per_sec"}
	if typ == "fs" {
		return append(names, "location")
	}
	return append(names, "bucket", "endpoint", "base_path", "region", "client", "path_style_access", "protocol", "buffer_size",
		"server_side_encryption", "storage_class", "canned_acl")
}

// didYouMean names the setting that is the same but for case, hyphens and underscores, or that contains the name.
func didYouMean(name string, known []string) string {
	plain := func(s string) string {
		return strings.NewReplacer("_", "", "-", "", ".", "").Replace(strings.ToLower(s))
	}
	for _, k := range known {
		if plain(k) == plain(name) || plain(k) == plain(name)+"s" || plain(k)+"s" == plain(name) {
			return "did you mean " + k + "? "
		}
	}
	return ""
}
