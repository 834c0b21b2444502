package nuvlaops_test

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A program embeds only what is below it, so the demo has its own copy.
func TestTheDemoHasTheMappingOfJobsThatIsTested(t *testing.T) {
	read := func(path string) string {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	if diff := cmp.Diff(read("zkjobs/testdata/nuvla-job-mapping.json"), read("examples/demo/stacks/nuvla-job-mapping.json")); diff != "" {
		t.Error(diff)
	}
}
