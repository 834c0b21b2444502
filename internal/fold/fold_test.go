package fold_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/internal/fold"
)

func TestGroupsOfManyAreOneAtThePlaceOfTheFirst(t *testing.T) {
	var list []string
	for i := range 11 {
		list = append(list, fmt.Sprint("a", i), fmt.Sprint("-", i))
		if i < 10 {
			list = append(list, fmt.Sprint("b", i))
		}
	}
	group := func(s string) string {
		if s[0] == '-' {
			return ""
		}
		return s[:1]
	}
	got := fold.Groups(list, group, func(name string, members []string) string { return fmt.Sprint(name, " x ", len(members)) })
	want := []string{"a x 11"}
	for i := range 11 {
		want = append(want, fmt.Sprint("-", i))
		if i < 10 {
			want = append(want, fmt.Sprint("b", i))
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
