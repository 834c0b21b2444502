package es

import (
	"reflect"
	"strings"

	"github.com/nuvla/nuvlaops"
)

// CheckClient refuses a client that is none, also a nil pointer in an interface.
func CheckClient(client Client) error {
	if v := reflect.ValueOf(client); client == nil || (v.Kind() == reflect.Pointer && v.IsNil()) {
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
	}
	return nil
}
