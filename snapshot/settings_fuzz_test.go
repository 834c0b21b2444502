package snapshot_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/nuvla/nuvlaops/snapshot"
)

// FuzzSettings: a file of a repository is refused, or is what is sent and read again.
func FuzzSettings(f *testing.F) {
	for _, seed := range []string{`null`, `{}`, `{"type":"s3","settings":{"bucket":"abc","endpoint":"http://a:1","path_style_access":"yes","chunk_size":5,"x":{"y":[1,null]}}}`,
		`{"type":"fs","settings":{"location":"/a","compress":false,"readonly":"true","readonly":false}}`, `{"type":"fs","settings":null}`, `{"type":7}`, `{"type":"s3","settings":{"endpoint":"http://u:p@h/\u001b"}}`,
		`{"type":"fs","settings":{"location":"/a","max_restore_bytes_per_sec":1e308,"":{"":""}}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var s, again snapshot.Settings
		if json.Unmarshal(raw, &s) != nil || s.Validate() != nil {
			return
		}
		sent, err := json.Marshal(s)
		if err == nil {
			err = json.Unmarshal(sent, &again)
		}
		if err != nil || !reflect.DeepEqual(s, again) {
			t.Errorf("%s became %s: %v\n%+v\n%+v", raw, sent, err, s, again)
		}
	})
}
