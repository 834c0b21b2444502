package stack_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/stack"
)

func TestNothingIsStartedBeforeWhatItNeeds(t *testing.T) {
	for _, c := range []struct {
		name     string
		services []stack.Service
		want     [][]string
	}{
		{name: "no services"},
		{"what needs nothing goes together", []stack.Service{{Name: "zk"}, {Name: "es"}}, [][]string{{"es", "zk"}}},
		{"a chain, a fork, and what is of another stack", []stack.Service{
			{Name: "api", Needs: []string{"es", "zk"}},
			{Name: "job-executor", Needs: []string{"api"}}, {Name: "ui", Needs: []string{"api"}},
			{Name: "job-distributor", Needs: []string{"job-executor", "api"}},
		}, [][]string{{"api"}, {"job-executor", "ui"}, {"job-distributor"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			groups, err := (&stack.Stack{Services: c.services}).Groups()
			must(t, err)
			if diff := cmp.Diff(c.want, groups); diff != "" {
				t.Errorf("groups (-want +got):\n%s", diff)
			}
		})
	}
}

func TestServicesThatNeedEachOtherHaveNoOrder(t *testing.T) {
	for _, services := range [][]stack.Service{
		{{Name: "a", Needs: []string{"b"}}, {Name: "b", Needs: []string{"a"}}, {Name: "c"}},
		{{Name: "a", Needs: []string{"a"}}},
	} {
		groups, err := (&stack.Stack{Name: "db", Services: services}).Groups()
		if groups != nil {
			t.Errorf("groups %v of a circle", groups)
		}
		mustBe(t, nuvlaops.Wrap("test", "", err), nuvlaops.ErrInvalid, "in a circle: a", "org.nuvla.ops.needs")
	}
}
