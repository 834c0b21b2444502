package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/internal/testenv"
)

// waitFor returns what the pattern's group found in the output.
func (r *rig) waitFor(out *testenv.Buffer, pattern string) string {
	r.Helper()
	re := regexp.MustCompile(pattern)
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if found := re.FindStringSubmatch(out.String()); found != nil {
			return found[len(found)-1]
		}
	}
	r.Fatalf("no %s in\n%s", pattern, out.String())
	return ""
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(body)
}

func TestAScheduleServesItsMetricsAndItsHealth(t *testing.T) {
	r := newRig(t, "")
	r.fill("job", 4, 10)
	ctx, cancel := context.WithCancelCause(t.Context())
	var out testenv.Buffer
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, r.args("-schedule", "30 4 29 2 *", "-listen", "127.0.0.1:0"), &out, &out) // the slot of years ago was missed
	}()
	url := "http://" + r.waitFor(&out, `serving metrics, address (\S+)`)
	r.waitFor(&out, `Nuvla ES Backup Successful\. (\S+)\.`)
	var h health
	var code int
	for deadline := time.Now().Add(time.Minute); h.Next.IsZero() && time.Now().Before(deadline); {
		var body string
		code, body = get(t, url+"/healthz")
		if err := json.Unmarshal([]byte(body), &h); err != nil {
			t.Fatal(err, body)
		}
	}
	if code != http.StatusOK || h.Status != "ok" || h.Next.Month() != time.February || h.Next.Day() != 29 || h.LastSuccess.IsZero() || h.LastFailure != "" {
		t.Errorf("%d, %+v", code, h)
	}
	code, body := get(t, url+"/metrics")
	for _, line := range []string{`nuvla_backup_documents{repository="%"} 4`, `nuvla_backup_last_exit_code{repository="%"} 0`, `nuvla_backup_failures_total{repository="%"} 0`,
		`nuvla_backup_snapshots{repository="%",state="SUCCESS"} 1`, `nuvla_backup_snapshots{repository="%",state="PARTIAL"} 0`} {
		if line = strings.Replace(line, "%", r.repo.Name(), 1); code != http.StatusOK || !strings.Contains(body, line+"\n") {
			t.Errorf("%d, no %s in\n%s", code, line, body)
		}
	}
	cancel(cli.ErrInterrupted)
	if err := <-ended; err != nil {
		t.Errorf("the schedule ended with %v", err)
	}
}

func TestHealthIsBadWhenTheScheduleDoesNotGoOn(t *testing.T) {
	now := time.Now()
	for name, tc := range map[string]struct {
		s    *status
		want bool
	}{
		"nothing yet":             {&status{}, true},
		"waiting":                 {&status{next: now.Add(time.Hour)}, true},
		"overdue":                 {&status{next: now.Add(-2 * time.Minute)}, false},
		"running":                 {&status{attempt: now.Add(-time.Minute)}, true},
		"running for ever":        {&status{attempt: now.Add(-2 * time.Hour)}, false},
		"waiting after a failure": {&status{attempt: now.Add(-2 * time.Hour), next: now.Add(time.Minute), lastFailure: "x"}, true},
	} {
		if err := tc.s.alive(now, time.Hour); (err == nil) != tc.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}
