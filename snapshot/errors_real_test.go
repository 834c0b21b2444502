package snapshot_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/snapshot"
)

// mustSay fails unless err matches kind, says all of the texts, and has a hint.
func mustSay(t *testing.T, err, kind error, texts ...string) {
	t.Helper()
	var e *nuvlaops.Error
	if !errors.Is(err, kind) || !errors.As(err, &e) || e.Hint == "" {
		t.Errorf("got %v, want an error with a hint that matches %q", err, kind)
		return
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("got %v, want it to say %q", err, text)
		}
	}
}

func TestWhatIsWrongWithAnS3RepositoryIsSaidWithAHint(t *testing.T) {
	t.Parallel()
	known := testenv.SharedS3(t).Keys()
	otherKeys := testenv.UseS3(t, testenv.S3Options{})
	otherSecret := testenv.UseS3(t, testenv.S3Options{Keys: testenv.S3Keys{Access: known.Access, Secret: testenv.NewS3Keys().Secret}})
	silent := testenv.UseS3(t, testenv.S3Options{})
	if err := silent.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, p := range s3Places {
		t.Run(p.name, func(t *testing.T) { saysWhatIsWrong(t, p.bench(t), otherKeys, otherSecret, silent) })
	}
}

func saysWhatIsWrong(t *testing.T, b *bench, otherKeys, otherSecret, silent *testenv.S3) {
	good, known := b.settings(), testenv.SharedS3(t).Keys()
	with := func(change func(*snapshot.S3)) snapshot.Settings {
		copied := *good.S3
		change(&copied)
		return snapshot.Settings{S3: &copied}
	}
	for _, tc := range []struct {
		name     string
		settings snapshot.Settings
		says     []string
	}{
		{"bucket missing", with(func(s *snapshot.S3) { s.Bucket = "nuvla-es-backup" }), []string{"bucket nuvla-es-backup does not exist", "create it first", "master node", "HTTP 500"}},
		{"unknown key", with(func(s *snapshot.S3) { s.Endpoint = otherKeys.Endpoint() }), []string{"does not know the S3 access key", "keystore"}},
		{"wrong secret", with(func(s *snapshot.S3) { s.Endpoint = otherSecret.Endpoint() }), []string{"refuses the S3 secret key", "keystore"}},
		{"endpoint refuses", with(func(s *snapshot.S3) { s.Endpoint = strings.Replace(s.Endpoint, ":9222", ":9", 1) }), []string{"refuses connections"}},
		{"unknown host", with(func(s *snapshot.S3) { s.Endpoint = "http://no-such-host.invalid" }), []string{"host is not known"}},
		{"https to a plain port", with(func(s *snapshot.S3) { s.Endpoint = strings.Replace(s.Endpoint, "http:", "https:", 1) }), []string{"does not speak the TLS", "http://"}},
		{"unknown client", with(func(s *snapshot.S3) { s.Client = "backup" }), []string{"no S3 client backup", "s3.client.backup.access_key"}},
		{"endpoint never answers", with(func(s *snapshot.S3) { s.Endpoint = silent.Endpoint() }), []string{"was not verified within 2s", silent.Endpoint(), "its disks"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			repo := b.repo
			if strings.Contains(tc.name, "never") {
				repo = b.open(b.client, &snapshot.Options{VerifyTimeout: 2 * time.Second})
			}
			_, err := repo.Ensure(t.Context(), tc.settings)
			mustSay(t, err, nuvlaops.ErrRepository, tc.says...)
			for _, secret := range []string{known.Secret, known.Access} {
				if err != nil && strings.Contains(err.Error(), secret) {
					t.Errorf("the error holds a key: %v", err)
				}
			}
			if _, err := b.repo.Registered(t.Context()); !errors.Is(err, nuvlaops.ErrNotFound) {
				t.Errorf("the registration was left behind: %v", err)
			}
		})
	}
}

func TestARepositoryThatWasLeftBrokenSaysWhatIsWrong(t *testing.T) {
	b := places[0].bench(t)
	b.fill(b.index("job"), 1)
	b.do("PUT", "/_snapshot/"+b.repo.Name()+"?verify=false", fmt.Sprintf(
		`{"type":"s3","settings":{"bucket":"was-never-made","endpoint":%q,"path_style_access":true}}`, testenv.SharedS3(t).Endpoint()))
	says := "bucket was-never-made does not exist"
	_, err := b.repo.Create(t.Context(), snapshot.CreateRequest{Indices: []string{b.index("*")}})
	mustSay(t, err, nuvlaops.ErrRepository, says, "snapshot.Create")
	_, err = b.repo.Get(t.Context(), "any")
	mustSay(t, err, nuvlaops.ErrRepository, says, "snapshot.Get")
	mustSay(t, b.repo.Delete(t.Context(), "any"), nuvlaops.ErrRepository, says, "snapshot.Delete")
	for _, err := range b.repo.List(t.Context(), snapshot.Filter{}) {
		mustSay(t, err, nuvlaops.ErrRepository, says, "snapshot.List")
	}
	if _, err := b.repo.Ensure(t.Context(), b.settings()); err != nil {
		t.Errorf("Ensure did not mend it: %v", err)
	}
}

func TestAnFsRepositoryOutsideOfPathRepoSaysSo(t *testing.T) {
	for _, p := range places[1:] {
		b := p.bench(t)
		_, err := b.repo.Ensure(t.Context(), b.broken())
		mustSay(t, err, nuvlaops.ErrRepository, "path.repo")
	}
}

func TestAnIndexWithoutAPrimaryIsRefusedOrPartial(t *testing.T) {
	t.Parallel()
	b := places[1].bench(t)
	b.register()
	b.fill(b.index("good"), 3)
	b.do("PUT", "/"+b.index("lost")+"?wait_for_active_shards=0", `{"settings":{"number_of_replicas":0,"index.routing.allocation.require._name":"nowhere"}}`)
	_, err := b.repo.Create(t.Context(), snapshot.CreateRequest{Indices: []string{b.index("*")}})
	mustSay(t, err, nuvlaops.ErrRefused, b.index("lost"))
	s, err := b.repo.Create(t.Context(), snapshot.CreateRequest{Indices: []string{b.index("*")}, RunID: "r", Partial: true})
	mustSay(t, err, nuvlaops.ErrPartial, b.index("lost")+"[0]", "PARTIAL", "1 of 4 shards are missing")
	if s == nil || s.State != snapshot.Partial || s.Complete() || len(s.Failures) != 1 || s.Shards.Failed != 1 {
		t.Fatalf("got %+v", s)
	}
	again, err := b.repo.Create(t.Context(), snapshot.CreateRequest{Indices: []string{b.index("*")}, RunID: "r", Partial: true})
	mustSay(t, err, nuvlaops.ErrPartial)
	if again == nil || again.UUID != s.UUID {
		t.Errorf("the partial snapshot of this run was not adopted: %+v", again)
	}
}

func TestAPrimaryThatIsMissingAfterwardsDoesNotSpoilACompleteSnapshot(t *testing.T) {
	t.Parallel()
	b := places[1].bench(t)
	b.register()
	b.fill(b.index("good"), 3)
	repo := b.open(client(func(r *http.Request) (*http.Response, error) {
		res, err := b.client.Perform(r)
		if r.Method == http.MethodPut {
			b.do("PUT", "/"+b.index("lost")+"?wait_for_active_shards=0", `{"settings":{"number_of_replicas":0,"index.routing.allocation.require._name":"nowhere"}}`)
		}
		return res, err
	}), nil)
	s, err := repo.Create(t.Context(), snapshot.CreateRequest{Indices: []string{b.index("*")}, WhenBusy: snapshot.BusyBeside})
	if err != nil || !s.Complete() {
		t.Fatalf("%+v, %v", s, err)
	}
	if m := s.Manifest; m == nil || m.Indices[b.index("good")].Before != 3 || m.Indices[b.index("good")].After != nil {
		t.Errorf("manifest %+v, want 3 documents before and an unknown number after", m)
	}
}

func TestAShardWithABrokenFileMakesThePartialSnapshotAnError(t *testing.T) {
	t.Parallel()
	b := places[1].bench(t)
	b.register()
	b.fill(b.index("job"), 30)
	b.do("POST", "/"+b.index("job")+"/_flush", "")
	answer := b.do("GET", "/"+b.index("job")+"/_settings", "")
	uuid := answer[b.index("job")].(map[string]any)["settings"].(map[string]any)["index"].(map[string]any)["uuid"].(string)
	if out, err := b.server.Exec(t.Context(), "sh", "-c", "ls /usr/share/elasticsearch/data/indices/"+uuid+"/0/index/*.cfs && rm /usr/share/elasticsearch/data/indices/"+uuid+"/0/index/*.cfs"); err != nil {
		t.Fatal(err, out)
	}
	s, err := b.repo.Create(t.Context(), snapshot.CreateRequest{Indices: []string{b.index("*")}})
	mustSay(t, err, nuvlaops.ErrPartial, b.index("job")+"[0]", "1 of 3 shards are missing")
	if s == nil || s.State != snapshot.Partial || s.Complete() {
		t.Errorf("got %+v", s)
	}
}

// slow makes a repository and an index whose snapshot takes some seconds: its bytes are random and the rate is low.
func (b *bench) slow(rate string, kilobytes int) {
	b.t.Helper()
	s := b.settings()
	s.MaxSnapshotBytesPerSec = rate
	b.ensure(s)
	b.do("PUT", "/"+b.index("big"), `{"settings":{"number_of_shards":1,"number_of_replicas":0},"mappings":{"enabled":false}}`)
	b.grow(kilobytes)
}

// grow adds documents to the index of slow, that no other snapshot has copied.
func (b *bench) grow(kilobytes int) {
	b.t.Helper()
	const chars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	var lines strings.Builder
	for range kilobytes {
		var kb [1024]byte
		for i := range kb {
			kb[i] = chars[rand.IntN(len(chars))]
		}
		fmt.Fprintf(&lines, "{\"index\":{}}\n{\"x\":%q}\n", kb[:])
	}
	b.do("POST", "/"+b.index("big")+"/_bulk", lines.String())
}

func TestAnIndexThatIsNamedAndNotThereIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	b := places[1].bench(t)
	b.register()
	b.fill(b.index("job"), 1)
	for _, indices := range [][]string{{b.index("nope")}, {b.index("job"), b.index("nope")}} {
		began := time.Now()
		_, err := b.repo.Create(t.Context(), snapshot.CreateRequest{Indices: indices})
		mustSay(t, err, nuvlaops.ErrNotFound, b.index("nope"))
		if took := time.Since(began); took > 20*time.Second { // the server's own time-out is 30 s
			t.Errorf("%v: it took %v", indices, took)
		}
	}
	if got := b.snapshots(); len(got) != 0 {
		t.Errorf("%v was made", got)
	}
}
