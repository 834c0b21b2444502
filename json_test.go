package nuvlaops_test

import (
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nuvla/nuvlaops/restore"
	"github.com/nuvla/nuvlaops/snapshot"
	"github.com/nuvla/nuvlaops/stack"
	"github.com/nuvla/nuvlaops/zkjobs"
)

// Plans and reports are kept in files: each field says its name there, in the same way in all packages.
func TestPlansAndReportsHaveNamesOfOneKindInJSON(t *testing.T) {
	seen := map[reflect.Type]bool{reflect.TypeFor[time.Time](): true}
	for _, v := range []any{snapshot.Plan{}, snapshot.CycleReport{}, snapshot.Checked{}, snapshot.Cleaned{}, snapshot.Marks{},
		restore.Plan{}, restore.Report{}, restore.DrillReport{}, restore.Query{}, zkjobs.Plan{}, zkjobs.Result{},
		stack.Stack{}, stack.WipePlan{}, stack.DeployPlan{}} {
		hasNames(t, reflect.TypeOf(v), seen)
	}
}

var jsonName = regexp.MustCompile(`^(-|[a-z][a-z0-9_]*)$`)

func hasNames(t *testing.T, typ reflect.Type, seen map[reflect.Type]bool) {
	for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice || typ.Kind() == reflect.Map {
		typ = typ.Elem()
	}
	if typ.Kind() != reflect.Struct || seen[typ] {
		return
	}
	seen[typ] = true
	for i := range typ.NumField() {
		f := typ.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.IsExported() && !f.Anonymous && !jsonName.MatchString(name) {
			t.Errorf("%s.%s is %q in JSON", typ, f.Name, name)
		}
		if f.IsExported() && name != "-" {
			hasNames(t, f.Type, seen)
		}
	}
}
