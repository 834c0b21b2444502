// Package monitoring_test checks the alert rules and the dashboard with Prometheus' own tool, and against what the programs write.
package monitoring_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/nuvla/nuvlaops/examples/internal/metrics"
)

// promtool runs the tool, and fails the test where it cannot be had: its error says what to do.
func promtool(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	var why bytes.Buffer
	find := exec.CommandContext(t.Context(), "bash", "../../internal/testenv/scripts/promtool.sh")
	find.Stderr = &why
	path, err := find.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, why.String())
	}
	cmd := exec.CommandContext(t.Context(), strings.TrimSpace(string(path)), args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func read(t *testing.T, name string) string {
	t.Helper()
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestTheRulesAreValid(t *testing.T) {
	if out, err := promtool(t, "", "check", "rules", "alerts.yml"); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func TestTheRulesFireWhenTheyShouldAndAreSilentElse(t *testing.T) {
	if out, err := promtool(t, "", "test", "rules", "alerts_test.yml"); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// The unit tests say which alerts fire, and pass: an alert that one of them expects cannot go without it noticing.
func TestEachRuleIsSeenToFire(t *testing.T) {
	var tests struct {
		Tests []struct {
			Alerts []struct {
				Alertname string
				Expected  []struct{} `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
			Queries []struct {
				Samples []struct{ Labels string } `yaml:"exp_samples"`
			} `yaml:"promql_expr_test"`
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, "alerts_test.yml")), &tests); err != nil {
		t.Fatal(err)
	}
	fires := map[string]bool{}
	for _, test := range tests.Tests {
		for _, a := range test.Alerts {
			fires[a.Alertname] = fires[a.Alertname] || len(a.Expected) > 0
		}
		for _, q := range test.Queries {
			for _, s := range q.Samples {
				for _, match := range regexp.MustCompile(`alertname="(\w+)"`).FindAllStringSubmatch(s.Labels, -1) {
					fires[match[1]] = true
				}
			}
		}
	}
	for _, g := range loadRules(t).Groups {
		for _, r := range g.Rules {
			if !fires[r.Alert] {
				t.Errorf("no unit test expects %s to fire", r.Alert)
			}
		}
	}
}

type ruleFile struct {
	Groups []struct {
		Rules []struct {
			Alert, Expr         string
			Labels, Annotations map[string]string
		}
	}
}

func loadRules(t *testing.T) (rules ruleFile) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(read(t, "alerts.yml")), &rules); err != nil {
		t.Fatal(err)
	}
	return rules
}

func TestTheRulesAskForMetricsThatExist(t *testing.T) {
	for _, g := range loadRules(t).Groups {
		for _, r := range g.Rules {
			if len(metricsIn(t, r.Alert, r.Expr)) == 0 {
				t.Errorf("%s asks for no metric", r.Alert)
			}
			if s := r.Labels["severity"]; s != "warning" && s != "critical" {
				t.Errorf("%s: severity %q, want warning or critical", r.Alert, s)
			}
			if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
				t.Errorf("%s: want a summary, and a description that says what to do", r.Alert)
			}
		}
	}
}

// What the programs write, with the names, types and helps of the list, is as Prometheus wants it.
func TestPrometheusHasNothingToSayAboutTheMetrics(t *testing.T) {
	set := metrics.New(map[string]string{"repository": "s3_backup"})
	for _, m := range metrics.All() {
		switch {
		case m.Type == "counter":
			set.Counter(m.Name, m.Help, 1)
		case strings.HasSuffix(m.Name, "_timestamp_seconds"):
			set.Time(m.Name, m.Help, time.Unix(1_700_000_000, 0))
		case len(m.Labels) == 1:
			set.By(m.Name, m.Help, m.Labels[0], map[string]float64{"x": 1})
		default:
			set.Gauge(m.Name, m.Help, 1)
		}
	}
	path := filepath.Join(t.TempDir(), "x.prom")
	if err := set.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	if out, err := promtool(t, read(t, path), "check", "metrics"); err != nil || out != "" {
		t.Errorf("%v: %s", err, out)
	}
}

// metricsIn returns the metrics of an expression, all of which must exist.
func metricsIn(t *testing.T, where, expr string) []string {
	t.Helper()
	known := map[string]bool{}
	for _, m := range metrics.All() {
		known[m.Name] = true
	}
	names := regexp.MustCompile(`\bnuvla_[a-z_]+`).FindAllString(expr, -1)
	for _, name := range names {
		if !known[name] {
			t.Errorf("%s asks for %s, which no program writes", where, name)
		}
	}
	return names
}
