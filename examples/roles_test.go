package examples_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/es"
	"github.com/nuvla/nuvlaops/restore"
	"github.com/nuvla/nuvlaops/snapshot"
)

func TestTheTwoRolesSuffice(t *testing.T) {
	c := newCluster(t)
	c.send(t, "PUT", "/nuvla-roles", map[string]any{"settings": map[string]any{"number_of_replicas": 0}})
	c.send(t, "PUT", "/nuvla-roles/_doc/1?refresh=true", map[string]any{"a": 1})

	// To register is the restorer's right; it is done once.
	restorer, keeper := c.user(t, "restore", passwordOf("restore")), c.user(t, "backup", passwordOf("backup"))
	settings := snapshot.Settings{S3: &snapshot.S3{Bucket: bucket, BasePath: "roles", Endpoint: c.s3.Endpoint(), PathStyleAccess: true}}
	if _, err := repository(t, restorer).Ensure(t.Context(), settings); err != nil {
		t.Fatalf("restore, ensure: %v", err)
	}

	report, err := snapshot.Cycle(t.Context(), repository(t, keeper), snapshot.CycleOptions{Create: snapshot.CreateRequest{Indices: []string{"nuvla-roles*"}}})
	if err != nil {
		t.Fatalf("backup, cycle: %v", err)
	}
	if m := report.Snapshot.Manifest; m == nil || m.Documents != 1 {
		t.Errorf("manifest %+v, want one document", m)
	}
	if names, err := repository(t, keeper).Unreadable(t.Context(), report.Snapshot.Name); err != nil || len(names) > 0 {
		t.Errorf("backup, list: %v, %v", names, err)
	}

	r, err := restore.New(restorer, "roles", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Drill(t.Context(), restore.DrillOptions{}); err != nil {
		t.Errorf("restore, drill: %v", err)
	}
	c.send(t, "DELETE", "/nuvla-roles", nil)
	plan, err := r.Plan(t.Context(), restore.Request{Snapshot: report.Snapshot.Name})
	if err != nil {
		t.Fatalf("restore, plan: %v", err)
	}
	if _, err := r.Apply(t.Context(), plan, restore.ApplyOptions{}); err != nil {
		t.Fatalf("restore, apply: %v", err)
	}
	if got := c.send(t, "GET", "/nuvla-roles/_count", nil)["count"]; got != 1.0 {
		t.Errorf("%v documents came back, want 1", got)
	}
	if plan, err = r.Plan(t.Context(), restore.Request{Snapshot: report.Snapshot.Name, Replace: true}); err != nil {
		t.Fatalf("restore, plan in the place of what is there: %v", err)
	}
	if _, err := r.Apply(t.Context(), plan, restore.ApplyOptions{}); err != nil {
		t.Errorf("restore, apply in the place of what is there: %v", err)
	}
	if plan, err = r.Plan(t.Context(), restore.Request{Snapshot: report.Snapshot.Name, RenamePrefix: "restored-"}); err != nil {
		t.Fatalf("restore, plan beside what is there: %v", err)
	}
	if _, err := r.Apply(t.Context(), plan, restore.ApplyOptions{}); err != nil {
		t.Errorf("restore, apply beside what is there: %v", err)
	}
	if err := repository(t, restorer).Delete(t.Context(), report.Snapshot.Name); err != nil {
		t.Errorf("restore, delete: %v", err)
	}
}

func TestARoleThatIsTooSmallSaysWhatIsMissing(t *testing.T) {
	c := newCluster(t)
	keeper, nobody, stranger := c.user(t, "backup", passwordOf("backup")), c.user(t, "nobody", passwordOf("nobody")), c.user(t, "backup", "wrong")
	settings := snapshot.Settings{S3: &snapshot.S3{Bucket: bucket, BasePath: "small", Endpoint: c.s3.Endpoint(), PathStyleAccess: true}}
	for name, tc := range map[string]struct {
		do   func() error
		says []string
	}{
		"the backup role does not register": {
			func() error { _, err := repository(t, keeper).Ensure(t.Context(), settings); return err },
			[]string{"cluster:admin/repository/put", "nuvla-backup", "manage"},
		},
		"the backup role does not verify": {
			func() error { _, err := repository(t, keeper).Verify(t.Context()); return err },
			[]string{"cluster:admin/repository/verify", "nuvla-backup", "manage"},
		},
		"the backup role does not delete": {
			func() error { return repository(t, keeper).Delete(t.Context(), "snapshot.2026-01-02t1504z") },
			[]string{"cluster:admin/snapshot/delete", "nuvla-backup", "manage"},
		},
		"no role at all": {
			func() error {
				_, err := repository(t, nobody).Create(t.Context(), snapshot.CreateRequest{})
				return err
			},
			[]string{"nobody", "manage"},
		},
		"a wrong password": {
			func() error {
				_, err := repository(t, stranger).Create(t.Context(), snapshot.CreateRequest{})
				return err
			},
			[]string{"password"},
		},
	} {
		err := tc.do()
		if !errors.Is(err, nuvlaops.ErrDenied) {
			t.Errorf("%s: got %v, want ErrDenied", name, err)
			continue
		}
		t.Logf("%s: %v", name, err)
		for _, want := range tc.says {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q is not in: %v", name, want, err)
			}
		}
		for _, secret := range []string{passwordOf("backup"), passwordOf("nobody"), "wrong"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%s: the password is in: %v", name, err)
			}
		}
	}
}

func repository(t *testing.T, client *es.Transport) *snapshot.Repo {
	t.Helper()
	repo, err := snapshot.New(client, "roles", nil)
	if err != nil {
		t.Fatal(err)
	}
	return repo
}
