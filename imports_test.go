package nuvlaops_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/nuvla/nuvlaops"

// rooms are the floors of the house, top first: a package imports only from floors below its own.
var rooms = []struct {
	name string
	in   func(pkg string) bool
}{
	{"examples", under("examples")},
	{"packages", func(p string) bool {
		return under("snapshot")(p) || under("restore")(p) || under("zkjobs")(p) || under("stack")(p)
	}},
	{"internal", under("internal")},
	{"root", func(p string) bool { return p == module }},
}

func under(dir string) func(string) bool {
	return func(p string) bool { return p == module+"/"+dir || strings.HasPrefix(p, module+"/"+dir+"/") }
}

func floor(t *testing.T, pkg string) int {
	t.Helper()
	for i, r := range rooms {
		if r.in(pkg) {
			return i
		}
	}
	t.Errorf("%s is in no room of the house: examples, snapshot, restore, zkjobs, stack, internal or the root", pkg)
	return 0
}

func TestImportsGoDownOnly(t *testing.T) {
	for pkg, imports := range imports(t) {
		for _, imp := range imports {
			if !strings.HasPrefix(imp, module) {
				continue
			}
			from, to := floor(t, pkg), floor(t, imp)
			if to < from {
				t.Errorf("%s imports %s, which is above it", pkg, imp)
			}
			if from == 1 && to == 1 && topDir(pkg) != topDir(imp) {
				t.Errorf("%s imports %s: the four packages never import each other", pkg, imp)
			}
			if from == 3 {
				t.Errorf("the root package imports %s: standard library only", imp)
			}
		}
	}
}

func TestRootImportsTheStandardLibraryOnly(t *testing.T) {
	for _, imp := range imports(t)[module] {
		if first, _, _ := strings.Cut(imp, "/"); strings.Contains(first, ".") {
			t.Errorf("the root package imports %s", imp)
		}
	}
}

// Each client library has one owner: whoever imports another package does not build it.
func TestEachClientLibraryHasOneOwner(t *testing.T) {
	owners := map[string][]string{
		"github.com/moby/moby/":                   {"stack", "internal/testenv"},
		"github.com/docker/":                      {"stack", "internal/testenv"},
		"github.com/go-zookeeper/zk":              {"zkjobs", "internal/testenv"},
		"github.com/testcontainers/":              {"internal/testenv"},
		"github.com/cenkalti/backoff/":            {"internal/retry"},
		"github.com/elastic/go-elasticsearch/v8/": {"internal", "snapshot", "restore", "zkjobs", "examples"},
	}
	for pkg, imports := range imports(t) {
		for _, imp := range imports {
			for lib, allowed := range owners {
				if !strings.HasPrefix(imp+"/", lib) {
					continue
				}
				if !slices.ContainsFunc(allowed, func(dir string) bool { return under(dir)(pkg) }) {
					t.Errorf("%s imports %s, which only %s may", pkg, imp, strings.Join(allowed, ", "))
				}
			}
		}
	}
}

func TestShippedPackagesPullNoTestServers(t *testing.T) {
	out := goList(t, "-deps", "./snapshot/...", "./restore/...", "./zkjobs/...", "./stack/...")
	for dep := range strings.FieldsSeq(out) {
		if strings.Contains(dep, "testcontainers") || under("internal/testenv")(dep) {
			t.Errorf("a shipped package pulls %s into its importer's build", dep)
		}
	}
}

// imports returns the direct imports of every package of the module, those of its tests left out.
func imports(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for line := range strings.Lines(goList(t, "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...")) {
		fields := strings.Fields(line)
		if len(fields) > 0 {
			all[fields[0]] = fields[1:]
		}
	}
	if len(all) < 5 {
		t.Fatalf("go list found only %d packages", len(all))
	}
	return all
}

func topDir(pkg string) string {
	dir, _, _ := strings.Cut(strings.TrimPrefix(pkg, module+"/"), "/")
	return dir
}

func goList(t *testing.T, args ...string) string {
	t.Helper()
	var stderr strings.Builder
	cmd := exec.Command("go", append([]string{"list"}, args...)...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}

// go-elasticsearch's root package brings a package for each part of the API along, which nobody here uses. They are two
// thirds of all that would be compiled, in each program that imports one of the packages.
func TestNobodyCompilesThePackagesOfEachPartOfTheAPI(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-test", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(out), "github.com/elastic/go-elasticsearch/v8/typedapi"); n > 0 {
		t.Errorf("%d packages of typedapi: use esapi, and es.Dial or a client that is handed in", n)
	}
}
