package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
	"github.com/nuvla/nuvlaops/snapshot"
)

// slow makes snapshots take some seconds.
func (r *rig) slow(kilobytes int) {
	r.Helper()
	r.repositoryFile("40kb")
	r.fill("big", kilobytes, 1024)
}

func (r *rig) start(cmd *exec.Cmd) {
	r.Helper()
	if err := cmd.Start(); err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { _ = cmd.Process.Kill() })
}

func exitCode(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return 0
}

func TestABackupThatIsKilledWhileItWaitsIsTakenUpByTheNextOne(t *testing.T) {
	for name, ends := range map[string]bool{"the snapshot still runs": false, "the snapshot has ended": true} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, "")
			r.slow(240)
			cmd, _ := r.command()
			r.start(cmd)
			running := r.waitForRunning()
			if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			if !r.touched().IsZero() {
				t.Error("the killed run touched the timestamp file")
			}
			if ends {
				r.waitForEnd(running)
			}
			out, code := r.run()
			if code != cli.ExitOK || !strings.Contains(out, "Nuvla ES Backup Successful. "+running+". SUCCESS") {
				t.Errorf("code %d, %q", code, out)
			}
			if got := r.names(); len(got) != 1 || r.touched().IsZero() {
				t.Errorf("%v are there, the timestamp is of %v", got, r.touched())
			}
			r.repositoryFile("") // what is recorded is not taken up once more
			if _, code := r.run(); code != cli.ExitOK || len(r.names()) != 2 {
				t.Errorf("code %d, %v", code, r.names())
			}
		})
	}
}

func (r *rig) waitForEnd(name string) {
	r.Helper()
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if s, err := r.repo.Get(r.Context(), name); err == nil && s.Complete() {
			return
		}
	}
	r.Fatal("the snapshot does not end")
}

func TestASignalLeavesTheSnapshotRunningAndTheNextRunTakesItUp(t *testing.T) {
	r := newRig(t, "")
	r.slow(240)
	cmd, out := r.command()
	r.start(cmd)
	running := r.waitForRunning()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := exitCode(cmd.Wait()); code != cli.ExitInterrupted || !strings.HasPrefix(out.String(), "FAILURE "+running) || !strings.Contains(out.String(), "goes on in the server") {
		t.Errorf("code %d, %s", code, out)
	}
	if text, code := r.run(); code != cli.ExitOK || !strings.Contains(text, running) || len(r.names()) != 1 {
		t.Errorf("code %d, %q, %v", code, text, r.names())
	}
}

// Two on one host are kept apart by the lock, two on different hosts by what the server shows.
func TestTwoBackupsAtOnceComeOneAfterTheOther(t *testing.T) {
	for _, name := range []string{"on one host", "on two hosts"} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, "")
			r.slow(400)
			second := r.run
			if name == "on two hosts" {
				second = func(more ...string) (string, int) { return r.runOn("host-2", more...) }
			}
			a, outA := r.command()
			r.start(a)
			first := r.waitForRunning()
			refused, code := second("-when-busy", "refuse")
			if code != cli.ExitBusy || !strings.HasPrefix(refused, "FAILURE") {
				t.Errorf("code %d, %q", code, refused)
			}
			if s, err := r.repo.Get(t.Context(), first); err != nil || !s.Running() {
				t.Errorf("refused when the first one had ended: %v, %v", s, err)
			}
			out, code := second("-busy-timeout", "2m")
			if errA := a.Wait(); errA != nil || code != cli.ExitOK || !strings.Contains(out, "waiting for another") {
				t.Errorf("%v: %s\ncode %d: %s", errA, outA, code, out)
			}
			var all []snapshot.Snapshot
			for s, err := range r.repo.List(t.Context(), snapshot.Filter{}) {
				if err != nil || !s.Complete() {
					t.Fatal(s, err)
				}
				all = append(all, s)
			}
			if len(all) != 2 || all[0].Name != first || all[1].Start.Before(all[0].End.Add(-200*time.Millisecond)) { // a step of the server's clock
				t.Errorf("%+v", all)
			}
		})
	}
}

// A slot that comes twice, since the clock has jumped back, has two snapshots; neither is taken for the other.
func TestAClockThatJumpsBackDoesNotPassAnOldSnapshotForANewOne(t *testing.T) {
	r := newRig(t, "")
	r.fill("job", 3, 10)
	var out bytes.Buffer
	cfg, err := parse(r.args("-schedule", "0 * * * *", "-keep-last", "1", "-keep-min", "1"), env(nil), &out)
	if err != nil {
		t.Fatal(err)
	}
	b, err := newBackup(cfg, &out, &out)
	if err != nil {
		t.Fatal(err)
	}
	slot := cfg.schedule.Before(time.Now())
	if err := b.once(t.Context(), b.identityOf(slot, slot.Add(-time.Hour))); err != nil {
		t.Fatal(err)
	}
	first := r.names()
	r.send("POST", "/"+r.index("job")+"/_bulk?refresh=true", "{\"index\":{}}\n{\"n\":4}\n")
	b.now = func() time.Time { return time.Now().Add(-90 * time.Minute) }
	if err := b.once(t.Context(), b.identityOf(slot, slot)); err != nil {
		t.Fatal(err)
	}
	second := r.names() // retention goes by the server's clock, which has not jumped
	if len(first) != 1 || first[0] != snapshot.Name("", slot) || len(second) != 1 || second[0] == first[0] {
		t.Errorf("%v, then %v\n%s", first, second, out.String())
	}
	if !strings.HasSuffix(strings.Split(out.String(), ", 4 documents")[0], second[0]+". SUCCESS, 1 of 1 shards") {
		t.Errorf("the second one holds an old state:\n%s", out.String())
	}
}

func TestTheCronLineOfTheOperationsPageRunsAsItStands(t *testing.T) {
	r := newRig(t, "")
	r.fill("job", 2, 10)
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path, r.path("nuvla-backup.sh")); err != nil {
		t.Fatal(err)
	}
	host, port, _ := strings.Cut(strings.TrimPrefix(r.server.URL(), "http://"), ":")
	conf := "ES_HOST=" + host + "\nES_PORT=" + port + "\nBACKUP_TIMESTAMP=" + r.path("timestamp") + "\n" +
		"BACKUP_REPOSITORY=" + r.repo.Name() + "\nBACKUP_REPOSITORY_FILE=" + r.path("repo.json") + "\nBACKUP_INDICES='" + r.index("*") + "'\nBACKUP_LOCK=" + r.path("lock") + "\n"
	line := `(date --utc; nuvla-backup.sh) >> /var/log/nuvla-backup-cron.log 2>&1`
	line = strings.ReplaceAll(line, "/var/log", r.dir)
	good := regexp.MustCompile(`UTC \d{4}\nNuvla ES Backup Successful\. snapshot\.\S+\. SUCCESS, 1 of 1 shards, 2 documents, .*\n$`)
	cmd := exec.Command("sh", "-c", line)
	cmd.Env = []string{"PATH=" + r.dir + ":/usr/bin:/bin", "HOME=/", "LANG=C", "BACKUP_CONF=" + file(t, "nuvla-es-backup.conf", conf)}
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
	log, _ := os.ReadFile(r.path("nuvla-backup-cron.log"))
	if !good.Match(log) || r.touched().IsZero() {
		t.Errorf("the log is\n%s", log)
	}
	touched := r.touched()
	r.breakShard("job")
	cmd = exec.Command("sh", "-c", line)
	cmd.Env = []string{"PATH=" + r.dir + ":/usr/bin:/bin", "HOME=/", "LANG=C", "BACKUP_CONF=" + file(t, "nuvla-es-backup.conf", conf)}
	if code := exitCode(cmd.Run()); code != cli.ExitPartial || !r.touched().Equal(touched) {
		t.Errorf("code %d, touched %v", code, r.touched())
	}
	if log, _ = os.ReadFile(r.path("nuvla-backup-cron.log")); !regexp.MustCompile(`UTC \d{4}\nFAILURE snapshot\.\S+: .*PARTIAL.*\n$`).Match(log) {
		t.Errorf("the log is\n%s", log)
	}
}

// A snapshot that another run on this host has taken, of other indices or for another timestamp file, was not broken off.
func TestARunOfAnotherKindIsNotTakenUp(t *testing.T) {
	r := newRig(t, "")
	r.fill("job", 3, 10)
	r.fill("user", 5, 10)
	if _, code := r.run("-indices", r.index("job")); code != cli.ExitOK {
		t.Fatal("no backup to begin with")
	}
	for n, more := range [][]string{
		{"-indices", r.index("user"), "-timestamp", r.path("of-users")},
		{"-indices", r.index("job"), "-timestamp", r.path("by-hand")},
	} {
		time.Sleep(250 * time.Millisecond) // the server's clock has steps
		out, code := r.run(more...)
		if got := r.names(); code != cli.ExitOK || len(got) != n+2 {
			t.Errorf("%v: code %d, %v are there: %s", more, code, got, out)
		}
	}
}

// Cron looks in /usr/bin and /bin alone, unless its file says more.
func TestTheCronFileOfTheReadmeFindsTheProgram(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	find := func(pattern string) string {
		found := regexp.MustCompile("(?m)" + pattern).FindSubmatch(readme)
		if found == nil {
			return ""
		}
		return string(found[1])
	}
	folder, file := find(`^install backup (\S+)/nuvla-backup\.sh$`), find(`(?s)/etc/cron\.d/nuvla-backup <<'EOF'\n(.*?)^EOF$`)
	if folder == "" || !strings.Contains(file, "nuvla-backup.sh)") {
		t.Fatalf("installed in %q, the file is %q", folder, file)
	}
	path := "/usr/bin:/bin"
	if said := regexp.MustCompile(`(?m)^PATH=(\S+)$`).FindStringSubmatch(file); said != nil {
		path = said[1]
	}
	if !slices.Contains(strings.Split(path, ":"), folder) {
		t.Errorf("%s is not in %s", folder, path)
	}
}

// What a run finds of a snapshot that another one has taken is less than that one has counted.
func TestAWholeManifestIsNotReplacedByWhatASecondHostFinds(t *testing.T) {
	r := newRig(t, "")
	r.fill("job", 3, 10)
	if err := os.Mkdir(r.path("manifests"), 0o700); err != nil {
		t.Fatal(err)
	}
	var slot identity
	for _, host := range []string{"host-1", "host-2"} {
		var out bytes.Buffer
		cfg, err := parse(r.args("-schedule", "0 * * * *", "-manifests", r.path("manifests"), "-timestamp", r.path(host), "-lock", r.path(host+".lock")), env(nil), &out)
		if err != nil {
			t.Fatal(err)
		}
		b, err := newBackup(cfg, &out, &out)
		if err != nil {
			t.Fatal(err)
		}
		slot = b.identityOf(cfg.schedule.Before(time.Now()), time.Time{})
		if err := b.once(t.Context(), slot); err != nil {
			t.Fatal(err, out.String())
		}
	}
	m, err := snapshot.ReadManifest(r.path("manifests/" + slot.name + ".json"))
	if err != nil || m.Indices[r.index("job")].After == nil || len(r.names()) != 1 {
		t.Errorf("%+v, %v, %v", m, err, r.names())
	}
}
