package restore

import (
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOnlyWhatReplacesOthersIsRenamed(t *testing.T) {
	names := []string{"nuvla-a", "nuvla.b+c", "nuvla-ts", ".ds-nuvla-ts-2026.01.01-000001", "nuvla-b"}
	plan := func(q Request) *Plan {
		return &Plan{ID: "id", Request: q, Indices: []PlannedIndex{{Name: "nuvla-a"}, {Name: "nuvla.b+c"}, {Name: ".ds-nuvla-ts-2026.01.01-000001", Stream: "nuvla-ts"}}}
	}
	for name, c := range map[string]struct {
		request Request
		want    []string
	}{
		"fresh":   {Request{}, names},
		"rename":  {Request{RenamePrefix: "copy-"}, []string{"copy-nuvla-a", "copy-nuvla.b+c", "copy-nuvla-ts", "copy-.ds-nuvla-ts-2026.01.01-000001", "copy-nuvla-b"}},
		"replace": {Request{Replace: true}, []string{"restoring-id-nuvla-a", "restoring-id-nuvla.b+c", "nuvla-ts", ".ds-nuvla-ts-2026.01.01-000001", "nuvla-b"}},
	} {
		t.Run(name, func(t *testing.T) {
			pattern, replacement := plan(c.request).renames()
			var got []string
			for _, n := range names {
				if pattern != "" {
					n = regexp.MustCompile(pattern).ReplaceAllString(n, regexp.MustCompile(`\$1`).ReplaceAllString(replacement, "$${1}"))
				}
				got = append(got, n)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("names (-want +got):\n%s", d)
			}
		})
	}
}
