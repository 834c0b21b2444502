package es

import (
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/nuvla/nuvlaops"
)

// IsNil reports whether an interface holds nothing, or a nil pointer, as what a constructor returns beside an error.
func IsNil(v any) bool {
	r := reflect.ValueOf(v)
	return v == nil || r.Kind() == reflect.Pointer && r.IsNil()
}

// CheckClient refuses a client that is none.
func CheckClient(client Client) error {
	if IsNil(client) {
		return &nuvlaops.Error{Reason: "no client", Hint: "hand in a go-elasticsearch client", Err: nuvlaops.ErrInvalid}
	}
	return nil
}

// CheckRepository refuses a name that is not the name of one snapshot repository.
func CheckRepository(name string) error {
	switch {
	case name == "":
		return &nuvlaops.Error{Reason: "no repository name", Hint: "name it, for example s3_backup", Err: nuvlaops.ErrInvalid}
	case strings.ContainsAny(name, "*, #/\\?\"<>|") || strings.HasPrefix(name, "_"):
		return &nuvlaops.Error{Reason: "a repository name holds no space, comma, wildcard or slash and begins without _", Err: nuvlaops.ErrInvalid}
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl): // it becomes a label of metrics, and is shown on terminals
		return &nuvlaops.Error{Reason: "a repository name is UTF-8, without control characters", Err: nuvlaops.ErrInvalid}
	}
	return nil
}
