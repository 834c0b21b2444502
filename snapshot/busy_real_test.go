package snapshot_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/testenv"
	"github.com/nuvla/nuvlaops/snapshot"
)

// begin starts a slow snapshot and returns when it runs; its end is sent to the channel.
func (b *bench) begin(name string) <-chan error {
	b.t.Helper()
	ended := make(chan error, 1)
	go func() {
		_, err := b.repo.Create(b.t.Context(), snapshot.CreateRequest{Name: name, RunID: "run of " + name, Indices: []string{b.index("big")}, WhenBusy: snapshot.BusyBeside})
		ended <- err
	}()
	for range 100 {
		if s, err := b.repo.Get(b.t.Context(), name); err == nil && s.Running() {
			return ended
		}
		time.Sleep(30 * time.Millisecond)
	}
	b.t.Fatal("the slow snapshot does not run")
	return nil
}

func TestASnapshotOfSomebodyElseIsWaitedForOrRefusedOrJoined(t *testing.T) {
	b := places[1].bench(t)
	b.slow("40kb", 150)
	b.fill(b.index("job"), 3)
	ended := b.begin("blocker")
	job := []string{b.index("job")}

	_, err := b.repo.Create(t.Context(), snapshot.CreateRequest{Indices: job, WhenBusy: snapshot.BusyRefuse})
	mustSay(t, err, nuvlaops.ErrBusy, "snapshot blocker of run run of blocker")
	_, err = b.repo.Create(t.Context(), snapshot.CreateRequest{Indices: job, BusyTimeout: 100 * time.Millisecond})
	mustSay(t, err, nuvlaops.ErrBusy, "blocker")
	beside, err := b.repo.Create(t.Context(), snapshot.CreateRequest{Indices: job, WhenBusy: snapshot.BusyBeside})
	if err != nil || !beside.Complete() {
		t.Fatalf("%+v, %v", beside, err)
	}
	blocker, err := b.repo.Get(t.Context(), "blocker")
	if err != nil || (!blocker.Running() && !beside.Start.Before(blocker.End)) { // a small server copies one shard at a time
		t.Fatalf("the snapshot at %v did not begin beside %+v, %v", beside.Start, blocker, err)
	}
	b.grow(150) // it has something to copy, though the first one may have ended meanwhile
	again := b.begin("blocker-2")
	var waited string
	after, err := b.repo.Create(t.Context(), snapshot.CreateRequest{Indices: job, Progress: func(p nuvlaops.Progress) {
		if strings.HasPrefix(p.Phase, "waiting") {
			waited = p.Message
		}
	}})
	if err != nil || !strings.Contains(waited, "blocker") {
		t.Fatalf("waited for %q: %v", waited, err)
	}
	for _, end := range []<-chan error{ended, again} {
		if err := <-end; err != nil {
			t.Fatal(err)
		}
	}
	blocker, err = b.repo.Get(t.Context(), "blocker-2")
	if err != nil || after.Start.Before(blocker.End.Add(-200*time.Millisecond)) { // a step of the server's clock
		t.Errorf("the snapshot began at %v, before the other one's end at %v (%v)", after.Start, blocker.End, err)
	}
}

// Neither waits for the other, nor refuses, nor loses anything.
func TestTwoThatLookInTheSameMomentBothTakeAWholeSnapshot(t *testing.T) {
	b := places[1].bench(t)
	b.slow("40kb", 60)
	for name, busy := range map[string]snapshot.Busy{"wait": snapshot.BusyWait, "refuse": snapshot.BusyRefuse} {
		b.grow(60)
		var looked, ended sync.WaitGroup
		looked.Add(2)
		made := make([]*snapshot.Snapshot, 2)
		for i := range made {
			var once sync.Once
			repo := b.open(client(func(r *http.Request) (*http.Response, error) {
				res, err := b.client.Perform(r)
				if strings.HasSuffix(r.URL.Path, "/_current") {
					once.Do(func() { looked.Done(); looked.Wait() })
				}
				return res, err
			}), nil)
			ended.Go(func() {
				var err error
				if made[i], err = repo.Create(t.Context(), snapshot.CreateRequest{Indices: []string{b.index("big")}, WhenBusy: busy}); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		ended.Wait()
		if t.Failed() {
			return
		}
		if x, y := made[0], made[1]; x.UUID == y.UUID || !x.Complete() || !y.Complete() {
			t.Errorf("%s: %s (%s) and %s (%s), want two whole ones", name, x.Name, x.State, y.Name, y.State)
		}
	}
}

func TestMoreSnapshotsThanTheServerTakesAreWaitedForOrRefused(t *testing.T) {
	b := places[1].bench(t)
	b.slow("40kb", 100)
	b.fill(b.index("job"), 3)
	limit := func(v string) {
		b.do("PUT", "/_cluster/settings", `{"persistent":{"snapshot.max_concurrent_operations":`+v+`}}`)
	}
	limit("1")
	defer limit("null")
	ended := b.begin("blocker")
	job := []string{b.index("job")}
	_, err := b.repo.Create(t.Context(), snapshot.CreateRequest{Indices: job, WhenBusy: snapshot.BusyBeside, BusyTimeout: time.Millisecond})
	if !errors.Is(err, nuvlaops.ErrBusy) || !strings.Contains(err.Error(), "concurrent_snapshot_execution_exception") {
		t.Errorf("got %v", err)
	}
	var once sync.Once
	s, err := b.repo.Create(t.Context(), snapshot.CreateRequest{Indices: job, WhenBusy: snapshot.BusyBeside, Progress: func(p nuvlaops.Progress) {
		if strings.HasPrefix(p.Phase, "waiting") {
			once.Do(func() { b.fill(job[0], 2) })
		}
	}})
	if err != nil || !s.Complete() {
		t.Fatalf("%+v, %v", s, err)
	}
	if m := s.Manifest.Indices[job[0]]; m.Before != 5 {
		t.Errorf("%d documents were counted before, want 5 as when the snapshot began", m.Before)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestARepositoryIsNotChangedUnderARunningSnapshot(t *testing.T) {
	b := places[1].bench(t)
	b.slow("40kb", 100)
	ended := b.begin("running")
	moved := b.settings()
	moved.FS.Location += "-moved"
	_, err := b.repo.Ensure(t.Context(), moved)
	if !errors.Is(err, nuvlaops.ErrConflict) || !strings.Contains(err.Error(), "HTTP 409") {
		t.Errorf("got %v", err)
	}
	s, err := b.repo.Registered(t.Context())
	if err != nil || s.FS == nil || s.FS.Location != b.settings().FS.Location {
		t.Errorf("registered is %+v, %v", s, err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestDeletingARunningSnapshotAbortsItAndCreateSaysSo(t *testing.T) {
	b := places[1].bench(t)
	b.slow("20kb", 200)
	ended := b.begin("running")
	if err := b.repo.Delete(t.Context(), "running"); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Error("an aborted snapshot passed for a good one")
	}
	if got := b.snapshots(); len(got) != 0 {
		t.Errorf("%v is left", got)
	}
}

// ownS3 registers a repository on an S3 server of its own, with an index whose snapshot takes some seconds.
func (b *bench) ownS3() (*testenv.S3, snapshot.Settings) {
	b.t.Helper()
	s3 := testenv.UseS3(b.t, testenv.S3Options{Keys: testenv.SharedS3(b.t).Keys()})
	if err := s3.CreateBucket(b.t.Context(), "bucket"); err != nil {
		b.t.Fatal(err)
	}
	b.slow("40kb", 100)
	settings := snapshot.Settings{S3: &snapshot.S3{Bucket: "bucket", Endpoint: s3.Endpoint(), PathStyleAccess: true}, MaxSnapshotBytesPerSec: "40kb"}
	b.ensure(settings)
	return s3, settings
}

func TestABucketThatIsLostHalfWayIsARepositoryFailure(t *testing.T) {
	b := places[0].bench(t)
	s3, settings := b.ownS3()
	ended := b.begin("lost")
	if out, err := s3.Exec(t.Context(), "mv", "/data/bucket", "/data/gone"); err != nil {
		t.Fatal(out, err)
	}
	err := <-ended
	if !errors.Is(err, nuvlaops.ErrRepository) && !errors.Is(err, nuvlaops.ErrPartial) {
		t.Errorf("got %v", err)
	}
	if !strings.Contains(err.Error(), "bucket") {
		t.Errorf("got %v, want it to say what became of the bucket", err)
	}
	if out, err := s3.Exec(t.Context(), "mv", "/data/gone", "/data/bucket"); err != nil {
		t.Fatal(out, err)
	}
	b.ensure(settings)
	if s, err := b.repo.Create(t.Context(), snapshot.CreateRequest{Name: "next", Indices: []string{b.index("big")}}); err != nil || !s.Complete() {
		t.Errorf("the next snapshot: %+v, %v", s, err)
	}
}

// An S3 server that is killed and comes back: the run ends in an error or in a snapshot, and called again in one snapshot.
func TestAnS3ServerThatIsKilledHalfWayLeavesNoHalfSnapshotForAWholeOne(t *testing.T) {
	b := places[0].bench(t)
	s3, settings := b.ownS3()
	ended := b.begin("lost")
	if err := s3.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s3.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := <-ended
	listed, err := b.repo.Get(t.Context(), "lost")
	if (first == nil) != (err == nil && listed.Complete()) {
		t.Errorf("Create said %v, and listed is %+v, %v", first, listed, err)
	}
	b.ensure(settings)
	if s, err := b.repo.Create(t.Context(), snapshot.CreateRequest{Name: "next", Indices: []string{b.index("big")}}); err != nil || !s.Complete() {
		t.Errorf("the next snapshot: %+v, %v", s, err)
	}
}

func TestABucketThatOthersEmptiedIsARepositoryFailure(t *testing.T) {
	b := places[0].bench(t)
	b.register()
	b.fill(b.index("job"), 3)
	indices := []string{b.index("*")}
	if _, err := b.repo.Create(t.Context(), snapshot.CreateRequest{Indices: indices}); err != nil {
		t.Fatal(err)
	}
	s3, bucket := testenv.SharedS3(t), b.settings().S3.Bucket
	objects, err := s3.ListObjects(t.Context(), bucket, "")
	if err != nil || len(objects) == 0 {
		t.Fatal(objects, err)
	}
	for _, o := range objects {
		if err := s3.DeleteObject(t.Context(), bucket, o.Key); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // the second time the repository has been disabled
		_, err = b.repo.Create(t.Context(), snapshot.CreateRequest{Indices: indices})
		mustSay(t, err, nuvlaops.ErrRepository)
		t.Log(err)
	}
}

func TestSecretsAreReloadedWithoutARestart(t *testing.T) {
	b := places[0].bench(t)
	s3 := testenv.UseS3(t, testenv.S3Options{Keys: testenv.SharedS3(t).Keys()})
	if err := s3.CreateBucket(t.Context(), "bucket"); err != nil {
		t.Fatal(err)
	}
	settings := snapshot.Settings{S3: &snapshot.S3{Bucket: "bucket", Endpoint: s3.Endpoint(), PathStyleAccess: true}}
	b.ensure(settings)
	old, changed := s3.Keys(), testenv.NewS3Keys()
	keystore := func(keys testenv.S3Keys) {
		t.Helper()
		for name, value := range map[string]string{"s3_access_key": keys.Access, "s3_secret_key": keys.Secret} {
			if err := b.server.WriteSecret(context.Background(), name, value); err != nil {
				t.Error(err)
			}
		}
	}
	defer func() { // the server is shared
		keystore(old)
		if err := b.server.ReloadSecrets(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	if err := s3.ChangeKeys(t.Context(), changed); err != nil {
		t.Fatal(err)
	}
	_, err := b.repo.Ensure(t.Context(), settings)
	mustSay(t, err, nuvlaops.ErrRepository, "S3 access key", "reload")
	if change, err := b.repo.Registered(t.Context()); err != nil || change.S3 == nil {
		t.Errorf("a registration that was there before is gone: %v", err)
	}
	mustSay(t, b.repo.ReloadSecrets(t.Context()), nuvlaops.ErrRepository, "S3 access key") // nothing has changed in the keystore
	keystore(changed)
	if err := b.repo.ReloadSecrets(t.Context()); err != nil {
		t.Errorf("after the reload: %v", err)
	}
	b.fill(b.index("job"), 1)
	if s, err := b.repo.Create(t.Context(), snapshot.CreateRequest{Indices: []string{b.index("*")}}); err != nil || !s.Complete() {
		t.Errorf("%+v, %v", s, err)
	}
}
