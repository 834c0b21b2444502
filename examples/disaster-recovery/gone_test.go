package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nuvla/nuvlaops"
)

// servicesOf is what an engine says of services that run.
func servicesOf(stack string, names ...string) string {
	var all []string
	for _, name := range names {
		all = append(all, fmt.Sprintf(`{"ID":%q,"Spec":{"Name":"%s_%s","Labels":{"com.docker.stack.namespace":%q},"Mode":{"Replicated":{"Replicas":1}}}}`, name, stack, name, stack))
	}
	return strings.Join(all, ",")
}

// databases is a compose file of both, each with a volume of its name, placed as it says.
func databases(t *testing.T, place string) string {
	t.Helper()
	text := "version: \"3.7\"\nservices:\n"
	for _, name := range dbServices {
		text += fmt.Sprintf("  %s:\n    image: %s\n    volumes: [\"%s:/data\"]\n    deploy: {placement: {constraints: [%q]}}\n", name, name, name, place)
	}
	return file(t, text+"volumes: {es: {}, zk: {}}\nnetworks: {default: {}}\n")
}

func TestADatabaseAloneIsRecoveredAlsoWhenItsServiceIsGone(t *testing.T) {
	for only, names := range map[string][2]string{onlyES: {"es", "zk"}, onlyZK: {"zk", "es"}} {
		volume := func(name string) string {
			return fmt.Sprintf(`{"Name":"db_%s","Driver":"local","Labels":{"com.docker.stack.namespace":"db"}}`, name)
		}
		r := takenUp(t)
		r.stacks = swarmOf(t, map[string]string{"/services": "[" + servicesOf("db", names[1]) + "," + servicesOf("nuvla", coreServices...) + "]", "/tasks": "[]",
			"/networks": "[]", "/volumes": `{"Volumes":[` + volume("es") + "," + volume("zk") + "]}", "/volumes/db_es": volume("es"), "/volumes/db_zk": volume("zk")})
		r.cfg.only, r.cfg.dbCompose = only, databases(t, "node.id==self")
		if err := r.checkEngine(t.Context()); err != nil {
			t.Errorf("%s: %v", only, err)
			continue
		}
		var wiped []string
		for _, v := range r.found.wipe.Volumes {
			wiped = append(wiped, v.Name)
		}
		if diff := cmp.Diff([]string{"db_" + names[0]}, wiped); diff != "" {
			t.Errorf("%s: volumes that are removed (-want +got):\n%s", only, diff)
		}
		r.cfg.dbCompose, r.page.Checks = "", nil
		err := r.checkEngine(t.Context())
		if !errors.Is(err, nuvlaops.ErrRefused) || !strings.Contains(err.Error(), "-db-compose") || strings.Contains(r.page.String(), "WipeOptions") {
			t.Errorf("%s without a compose file: %v, want it refused with the flag that goes on:\n%s", only, err, r.page.String())
		}
	}
}
