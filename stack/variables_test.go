package stack_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops/stack"
)

// A core that is deployed without the variables of whoever deployed it first sends no mail, and nobody knows why.
func TestAPlanNamesTheVariablesThatBecomeEmpty(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	file := b.file(`
version: "3.7"
services:
  api: # with ${COMMENT_AT_THE_END}
    image: %IMAGE%
    # ${COMMENTED_OUT}
    # environment: ["MAIL=${COMMENTED_OUT_TOO}"], which isn't used
    command: ["run", "$$DOLLAR", "$NUVLAOPS_PLAIN", "${NUVLAOPS_HOST}:${NUVLAOPS_HOST}", "${WITH:-default}", "${OR-default}", "${GIVEN}", "${PATH}"]
    deploy: {labels: %OWNER%}
`)
	opts := stack.DeployOptions{Files: []string{file}, Env: map[string]string{"GIVEN": ""}}
	plan, err := b.PlanDeploy(t.Context(), b.stack, opts)
	must(t, err)
	if diff := cmp.Diff([]string{"NUVLAOPS_HOST", "NUVLAOPS_PLAIN"}, plan.Blank); diff != "" {
		t.Errorf("variables that become empty (-want +got):\n%s", diff)
	}
	must(t, b.Deploy(t.Context(), b.stack, opts))
	if plan, err = b.PlanDeploy(t.Context(), b.stack, opts); err != nil || len(plan.Blank) > 0 {
		t.Errorf("with nothing to deploy: %v, %v", plan, err)
	}
	opts.Files = []string{b.file(`
version: "3.7"
x-shared: &shared {MAIL: "${NUVLAOPS_SHARED}"}
services:
  api: {image: "${OF_WHAT_IS_THERE}"}
  ui:
    image: %IMAGE%
    environment: {<<: *shared}
    command:
      - |
        # not for YAML: $NUVLAOPS_TEXT
    deploy: {labels: %OWNER%}
`)}
	plan, err = b.PlanDeploy(t.Context(), b.stack, opts)
	must(t, err)
	if diff := cmp.Diff([]string{"NUVLAOPS_SHARED", "NUVLAOPS_TEXT"}, plan.Blank); diff != "" {
		t.Errorf("with one service to deploy (-want +got):\n%s", diff)
	}
}
