package restore_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nuvla/nuvlaops/restore"
)

// A data stream has hundreds of indices after a year. The plan is read right before somebody says yes to it.
func TestAPlanAndAReportOfAYearAreReadAtAGlance(t *testing.T) {
	plan := &restore.Plan{Snapshot: restore.Snapshot{Name: "snap"}}
	report := &restore.Report{Snapshot: "snap"}
	add := func(name, stream, state string) {
		n := int64(7)
		plan.Indices = append(plan.Indices, restore.PlannedIndex{Name: name, Target: "copy-" + name, Stream: stream, Shards: 1, Bytes: 1 << 20, Documents: &n})
		plan.Findings = append(plan.Findings, restore.Finding{Severity: restore.SeverityError, Code: restore.CodeOpenIndex, Resource: "copy-" + name, Text: "it is there"})
		report.Indices = append(report.Indices, restore.IndexReport{Name: name, Target: "copy-" + name, Stream: stream, State: state, Shards: 1, Proven: 1, Documents: &n, Expected: &n})
	}
	for i := range 300 {
		add(fmt.Sprintf(".ds-nuvla-ts-2026.01.02-%06d", i+1), "nuvla-ts", restore.IndexProven)
	}
	add(".ds-nuvla-ts-2026.01.02-000301", "nuvla-ts", restore.IndexFailed)
	add("nuvla-job", "", restore.IndexProven)
	plan.Findings = append(plan.Findings, restore.Finding{Severity: restore.SeverityWarning, Code: restore.CodeWritable, Resource: "repo", Text: "it is writable"})
	for text, want := range map[string][]string{
		plan.String(): {"nuvla-ts (301 indices)", "301 shards", "2107 documents", "nuvla-job -> copy-nuvla-job", "index_exists_open copy-.ds-nuvla-ts-2026.01.02-000001,",
			"and 297 more: it is there", "repository_writable repo: it is writable"},
		report.String(): {"nuvla-ts (300 indices)", "300/300 shards, 2100 documents of 2100", "copy-.ds-nuvla-ts-2026.01.02-000301 ", "copy-nuvla-job"},
	} {
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%q is missing in:\n%.3000s", w, text)
			}
		}
		if n := strings.Count(text, "\n"); n > 8 {
			t.Errorf("%d lines", n)
		}
	}
}
