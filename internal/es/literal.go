package es

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/nuvla/nuvlaops"
)

// inPath are the fields of requests that become parts of their paths.
var inPath = []string{"Repository", "Snapshot", "Index", "Target", "Name", "Policy"}

// literally has the names in a request's path stand for themselves. esapi writes them there as they are, where %2a is a * and
// %2c a comma: Elasticsearch takes such names for snapshots and indices, and the deletion of one would be that of many.
func literally(req esapi.Request) esapi.Request {
	from := reflect.ValueOf(req)
	if from.Kind() != reflect.Struct {
		return req
	}
	out := reflect.New(from.Type()).Elem()
	out.Set(from)
	for _, field := range inPath {
		switch f := out.FieldByName(field); {
		case !f.IsValid():
		case f.Kind() == reflect.String:
			f.SetString(literal(f.String()))
		case f.Type() == reflect.TypeFor[[]string]():
			names := make([]string, f.Len())
			for i := range names {
				names[i] = literal(f.Index(i).String())
			}
			if len(names) > 0 {
				f.Set(reflect.ValueOf(names))
			}
		}
	}
	return out.Interface().(esapi.Request)
}

// literal escapes what has a meaning in a path, or no place in one. A * and a comma keep theirs: names hold none.
func literal(name string) string {
	var b strings.Builder
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c == 0x7f || strings.IndexByte(`%?#/\`, c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// namesOnly refuses to delete by a pattern: nobody here does, and the names may be those of a snapshot that somebody else has
// written.
func namesOnly(req esapi.Request) error {
	var names []string
	switch r := req.(type) {
	case esapi.IndicesDeleteRequest:
		names = r.Index
	case esapi.IndicesDeleteDataStreamRequest:
		names = r.Name
	case esapi.SnapshotDeleteRequest:
		names = r.Snapshot
	}
	for _, name := range names {
		if name == "" || name == "_all" || strings.ContainsAny(name, "*,") || strings.IndexByte("-<", name[0]) >= 0 {
			return &nuvlaops.Error{Resource: name, Reason: "no single name, so nothing is deleted by it", Err: nuvlaops.ErrRefused}
		}
	}
	return nil
}
