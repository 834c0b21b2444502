package restore_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/restore"
)

func TestReadOnlyOriginalIsFoundBeforeTheReplacingBegins(t *testing.T) {
	b := places[1].bench(t)
	b.fill(b.index("a"), 1, 10, 100)
	b.fill(b.index("b"), 1, 20, 100)
	b.snapshot("snap")
	block := func(name string, yes bool) {
		b.do("PUT", "/"+b.index("b")+"/_settings", fmt.Sprintf(`{"index.blocks.%s":%t}`, name, yes))
	}
	plan, was := b.plan(b.replacing()), b.state()
	for _, name := range []string{"read_only", "metadata"} {
		block(name, true)
		if d := cmp.Diff([]string{restore.CodeReadOnly}, codes(b.plan(b.replacing()), restore.SeverityError)); d != "" {
			t.Errorf("%s: errors of another plan (-want +got):\n%s", name, d)
		}
		if report, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{}); !errors.Is(err, nuvlaops.ErrConflict) || !strings.Contains(err.Error(), b.index("b")) {
			t.Errorf("%s: Apply: %v, want ErrConflict\n%s", name, err, report)
		}
		block(name, false)
	}
	client := &before{Client: b.client, like: func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/_restore") }, do: func() { block("read_only", true) }}
	if report, err := b.open(client, nil).Apply(t.Context(), plan, restore.ApplyOptions{}); !errors.Is(err, nuvlaops.ErrConflict) {
		t.Errorf("Apply: %v, want ErrConflict\n%s", err, report)
	}
	if report, err := b.repo.Abandon(t.Context(), "snap"); err != nil {
		t.Errorf("Abandon: %v\n%s", err, report)
	}
	block("read_only", false)
	if d := cmp.Diff(was, b.state()); d != "" {
		t.Errorf("afterwards (-want +got):\n%s", d)
	}
	block("read_only_allow_delete", true)
	if report, err := b.repo.Apply(t.Context(), plan, restore.ApplyOptions{}); err != nil || report.Documents != 30 {
		t.Errorf("with a block that allows it: %v\n%s", err, report)
	}
}
