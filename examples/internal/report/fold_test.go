package report_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nuvla/nuvlaops/examples/internal/report"
)

// A data stream has hundreds of indices after a year; what came back is read at night.
func TestADataStreamOfManyIndicesIsOneRow(t *testing.T) {
	r := example()
	for i := range 300 {
		n := int64(7)
		r.Indices = append(r.Indices, report.Index{Index: fmt.Sprintf(".ds-nuvla-ts-2026.01.02-%06d", i+1), Stream: "nuvla-ts", Documents: n, Expected: &n, Primaries: 1})
	}
	r.Indices[len(r.Indices)-1].Documents = 5
	text, page := r.Text(), words(html(t, r))
	for _, want := range []string{"nuvla-ts (299 indices)", "2093 in the manifest", "299 primaries", ".ds-nuvla-ts-2026.01.02-000300", "in 302 indices"} {
		if !strings.Contains(text, want) {
			t.Errorf("the text lacks %q:\n%.2000s", want, text)
		}
	}
	for _, want := range []string{"nuvla-ts (299 indices) - 2 093 2 093 299", ".ds-nuvla-ts-2026.01.02-000300 - 7 5 1", "in 302 indices"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%.3000s", want, page)
		}
	}
	if n := strings.Count(text, ".ds-nuvla-ts"); n > 1 {
		t.Errorf("%d of its indices have a line", n)
	}
}
