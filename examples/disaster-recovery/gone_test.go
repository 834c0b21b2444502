package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/examples/internal/cli"
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

// Of a stack that is gone, the compose file says where it has been.
func TestAFreshSwarmOfSeveralNodesIsRefusedWhereOldVolumesMayBeOutOfReach(t *testing.T) {
	for name, tt := range map[string]struct {
		place   string
		skip    []string
		refused bool
	}{
		"anywhere":                 {"node.role!=none", nil, true},
		"anywhere, nothing wiped":  {"node.role!=none", []string{"wipe"}, false},
		"on this node and no more": {"node.id==self", nil, false},
	} {
		r := takenUp(t)
		r.stacks = swarmOf(t, map[string]string{"/nodes": `[{"ID":"self"},{"ID":"f","Description":{"Hostname":"far"},"Status":{"State":"ready"}}]`, "/networks": "[]"})
		r.cfg.dbCompose, r.cfg.skip = databases(t, tt.place), tt.skip
		r.cfg.coreCompose = file(t, "version: \"3.7\"\nservices: {api: {image: api}}\nnetworks: {default: {}}\n")
		err := r.checkEngine(t.Context())
		if want := map[bool]int{true: cli.ExitRefused}[tt.refused]; cli.ExitCode(err) != want {
			t.Errorf("%s: exit code %d (%v), want %d", name, cli.ExitCode(err), err, want)
		}
		for _, want := range []string{"node far", "-engine NODE=ADDRESS", "-job-image", "-skip wipe", "nothing was touched"} {
			if tt.refused && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("%s: %q is not in %v", name, want, err)
			}
		}
		if r.page.end(r); r.page.Ready == tt.refused {
			t.Errorf("%s: the plan says %t:\n%s", name, r.page.Ready, r.page.String())
		}
	}
}

// The compose file of the core says what belongs to it: services of other names, and those that nobody here has heard of.
func TestWhatTheFileOfTheCoreHasIsDeployed(t *testing.T) {
	compose := func(names ...string) string {
		text := "version: \"3.7\"\nnetworks: {default: {}}\nservices:\n"
		for _, name := range names {
			text += "  " + name + ": {image: " + name + "}\n"
		}
		return file(t, text)
	}
	for name, tt := range map[string]struct {
		core, there []string
		compose     string
		gone        []string
		refused     bool
	}{
		"no file, all there":                {core: coreServices},
		"no file, and other names":          {core: []string{"api", "ui", "jobd-cleanup"}, refused: true},
		"other names, as in the file":       {core: []string{"api", "ui", "jobd-cleanup"}, compose: compose("api", "ui", "jobd-cleanup")},
		"one that the file has, too":        {core: coreServices, compose: compose(append([]string{"proxy"}, coreServices...)...), gone: []string{"proxy"}},
		"in one stack with the databases":   {core: coreServices, there: dbServices, compose: compose(append([]string{"proxy"}, coreServices...)...), gone: []string{"proxy"}},
		"in one stack without a core":       {there: dbServices, compose: compose(dbServices...), refused: true},
		"a job, which would run at once":    {core: coreServices, compose: file(t, "version: \"3.7\"\nnetworks: {default: {}}\nservices: {api: {image: api}, job: {image: job, deploy: {mode: replicated-job}}}\n"), refused: true},
		"in one stack, from which all went": {compose: compose("es", "zk", "api", "ui"), gone: []string{"api", "ui"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := takenUp(t)
			services := servicesOf("db", dbServices...) + "," + servicesOf("nuvla", tt.core...)
			if tt.there != nil || tt.core == nil {
				r.cfg.core, r.cfg.dbCompose = "db", tt.compose
				services = servicesOf("db", append(tt.there, tt.core...)...)
			}
			r.stacks, r.cfg.coreCompose = swarmOf(t, map[string]string{"/services": "[" + strings.TrimSuffix(services, ",") + "]", "/tasks": "[]", "/networks": "[]"}), tt.compose
			if err := r.checkEngine(t.Context()); errors.Is(err, nuvlaops.ErrRefused) != tt.refused || !tt.refused && err != nil {
				t.Fatalf("%v, refused should be %t", err, tt.refused)
			}
			if diff := cmp.Diff(tt.gone, r.found.coreGone, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("what is deployed (-want +got):\n%s", diff)
			}
		})
	}
}

// Without groups all of a stack is stopped, and with -only zookeeper nothing would start Elasticsearch again.
func TestWhereTheCoreOfOneStackIsGoneItsDatabasesAreNotStopped(t *testing.T) {
	r := takenUp(t)
	r.cfg.core = "db"
	r.stacks = swarmOf(t, map[string]string{"/services": "[" + servicesOf("db", dbServices...) + "]", "/tasks": "[]", "/networks": "[]"})
	var err error
	if r.found.core, err = r.lookAtCore(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if said, err := r.stopCore(ctx); err != nil || said != "nothing to do: it is not there" {
		t.Errorf("%q, %v; want nothing to be stopped", said, err)
	}
}

// What a file names for services that are not deployed is no concern, and what one file has is said once.
func TestWhatBecomesEmptyIsSaidOfWhatIsDeployed(t *testing.T) {
	compose := file(t, "version: \"3.7\"\nnetworks: {default: {}}\nservices:\n  es: {image: es}\n  zk: {image: zk}\n  api: {image: api}\n  exporter: {image: \"${NUVLAOPS_NOWHERE}\"}\n")
	for name, tt := range map[string]struct {
		there []string
		core  string
		want  int
	}{
		"a database is gone":       {[]string{"es"}, "nuvla", 1},
		"none is":                  {[]string{"es", "zk"}, "nuvla", 0},
		"all of one stack is gone": {nil, "db", 1},
	} {
		r := takenUp(t)
		r.cfg.core, r.cfg.dbCompose, r.cfg.coreCompose = tt.core, compose, compose
		if tt.core != r.cfg.db {
			r.cfg.coreCompose = ""
		}
		r.stacks = swarmOf(t, map[string]string{"/services": "[" + strings.Trim(servicesOf("db", tt.there...)+","+servicesOf("nuvla", coreServices...), ",") + "]", "/tasks": "[]", "/networks": "[]"})
		if err := r.checkEngine(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if n := strings.Count(r.page.String(), "NUVLAOPS_NOWHERE"); n != tt.want {
			t.Errorf("%s: it is named %d times, want %d:\n%s", name, n, tt.want, r.page.String())
		}
	}
}
