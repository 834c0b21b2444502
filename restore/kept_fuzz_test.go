package restore

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/nuvla/nuvlaops/internal/es"
)

// FuzzPlanFromJSON: a plan that was kept as JSON is printed and checked, or refused, whatever has become of it.
func FuzzPlanFromJSON(f *testing.F) {
	for _, seed := range []string{`{}`, `null`, `{"indices":null,"findings":[{"severity":"error"}]}`, `{"indices":[{"name":"a\u001b[2J\n","target":"","documents":null,"data_stream":"s"},{"data_stream":"s","bytes":-1}]}`,
		`{"request":{"replicas":-1,"document_tolerance":1e308,"settings":{"":""}},"snapshot":{"name":"\n"},"shards":-5,"bytes":-9223372036854775808}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var p Plan
		if json.Unmarshal(raw, &p) != nil {
			return
		}
		if text := p.String(); strings.ContainsRune(text, '\x1b') && !strings.ContainsRune(p.Repository+p.Snapshot.State+p.Cluster.Version, '\x1b') {
			t.Errorf("%q", text)
		}
		_ = p.Request.Validate()
		if p.validate(p.Repository) == nil && p.ID != p.identity() {
			t.Errorf("a plan of another identity: %s", raw)
		}
		_ = p.refused()
		p.requested(map[string]bool{"a": true})
		p.names()
	})
}

// FuzzJournal: whatever is in the cluster's settings is what we have written, or nothing.
func FuzzJournal(f *testing.F) {
	for _, seed := range []string{"", "{}", `{"plan":"p"}`, `{"plan":"p","indices":"????????AAAAAAAA","ended":"x","replaced":"é","request":null,"limit":null}`, `{"plan":"p","request":{"indices":[""]},"started":"9999-12-31T23:59:59Z"}`, `[`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := &Repo{journalKey: "k"}
		j := r.journalIn(es.ClusterSettings{Transient: map[string]string{"k": text}, Persistent: map[string]string{"k": text}})
		if j == nil {
			return
		}
		for i := range 4 {
			j.uuid(i)
		}
		if known := among(j.Indices, "AAAAAAAAAAAA"); strings.Trim(known, "A") != "" {
			t.Errorf("%q: AAAAAAAAAAAA is known as %q", text, known)
		}
		j.remember([]string{"", "0123456789", "short"})
		j.pending()
		j.running([]es.RunningRestore{{Repository: j.Repository, Snapshot: j.Snapshot, Shards: make([]es.RestoreShard, 1)}})
		if again, err := j.text(); err != nil || !json.Valid([]byte(again)) {
			t.Errorf("%q cannot be written again: %v", text, err)
		}
	})
}
