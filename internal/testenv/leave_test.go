package testenv_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops/internal/testenv"
)

// childVar makes the test binary a child that starts something and waits to be killed.
const childVar = "NUVLAOPS_TESTENV_CHILD"

// builtVar is a folder that a child removes after its tests.
const builtVar = "NUVLAOPS_TESTENV_BUILT"

// TestChild is no test: it is what the tests below run as a process of its own.
func TestChild(t *testing.T) {
	switch os.Getenv(childVar) {
	case "test":
		testenv.UseS3(t, testenv.S3Options{})
		testenv.UseSwarm(t)
		childWaits(context.Background())
	case "built":
		testenv.UseVolume(t)
		childWaits(context.Background())
	case "starting":
		fmt.Println("owner", testenv.OwnerLabelValue())
		testenv.UseElasticsearch(t, testenv.ElasticsearchOptions{})
	case "engine":
		e := testenv.NewOwnEngine(t, "k")
		if err := e.Start(); err != nil {
			t.Fatal(err)
		}
		fmt.Println("owner", e.Name)
		<-t.Context().Done()
	case "program":
		ctx, end := testenv.Guard(context.Background())
		_, err := testenv.StartZooKeeper(ctx, testenv.ZooKeeperOptions{})
		if err == nil {
			childWaits(ctx)
		}
		fmt.Println("end", err, end())
		os.Exit(0)
	case "kept":
		_, end := testenv.Guard(context.Background())
		_, err := testenv.NewVolume(context.Background())
		fmt.Println("owner", testenv.OwnerLabelValue(), err, testenv.Keep(context.Background()), end())
		os.Exit(0)
	}
}

func childWaits(ctx context.Context) {
	fmt.Println("owner", testenv.OwnerLabelValue())
	<-ctx.Done()
}

func TestSweepRemovesWhatAKilledProcessLeftAndSparesALiveOne(t *testing.T) {
	dead, deadOwner := child(t, "test")
	live, liveOwner := child(t, "program")
	if err := dead.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = dead.Wait()
	if left := carrying(t, deadOwner); len(left) < 3 { // a container, a network, a use of the swarm
		t.Errorf("a killed process has left only %v", left)
	}
	spared := carrying(t, liveOwner)

	removed, err := testenv.Sweep(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("removed %v", removed)
	if left := carrying(t, deadOwner); len(left) > 0 {
		t.Errorf("left of the killed process: %v", left)
	}
	if left := carrying(t, liveOwner); len(spared) == 0 || !slices.Equal(left, spared) {
		t.Errorf("of the live process %v became %v", spared, left)
	}
	if err := live.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := live.Wait(); err != nil {
		t.Error(err)
	}
	if left := carrying(t, liveOwner); len(left) > 0 {
		t.Errorf("a program that was told to end has left %v", left)
	}
}

func TestSignalsEndATestBinaryWithNothingLeft(t *testing.T) {
	for role, s := range map[string]syscall.Signal{"test": syscall.SIGTERM, "starting": syscall.SIGINT} {
		cmd, owner := child(t, role)
		time.Sleep(time.Duration(rand.Int64N(int64(time.Second)))) // anywhere in a start
		if err := cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		if got := cmd.ProcessState.ExitCode(); got != 128+int(s) {
			t.Errorf("%s, %v: exit code %d", role, s, got)
		}
		if left := carrying(t, owner); len(left) > 0 {
			t.Errorf("%s, %v: left %v", role, s, left)
		}
	}
}

// A package builds its programs into a folder, which is not the test environment's.
func TestWhatIsToBeDoneAfterTheTestsIsDoneOnASignalToo(t *testing.T) {
	dir := t.TempDir() + "/programs"
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv(builtVar, dir)
	cmd, _ := child(t, "built")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the folder is left: %v", err)
	}
}

func TestKeepSparesUntilItIsRemoved(t *testing.T) {
	cmd, owner := child(t, "kept")
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if _, err := testenv.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	left := carrying(t, owner)
	if len(left) != 2 { // a volume and the mark
		t.Errorf("kept are %v", left)
	}
	if _, err := testenv.RemoveKept(t.Context(), owner); err != nil {
		t.Error(err)
	}
	if left := carrying(t, owner); len(left) > 0 {
		t.Errorf("still kept are %v", left)
	}
}

// child starts this binary as a child and returns when it has made what it makes.
func child(t *testing.T, role string) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestChild$", "-test.v")
	cmd.Env = append(os.Environ(), childVar+"="+role)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if rest, found := strings.CutPrefix(lines.Text(), "owner "); found {
			owner, _, _ := strings.Cut(rest, " ")
			return cmd, owner
		}
		t.Log("child: ", lines.Text())
	}
	t.Fatal("the child ended too early")
	return nil, ""
}

// carrying lists what carries an owner's value, on an engine that is asked without this package.
func carrying(t *testing.T, owner string) (left []string) {
	t.Helper()
	docker, err := client.New(client.FromEnv)
	if err != nil {
		t.Fatal(err)
	}
	defer docker.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	filter := make(client.Filters).Add("label", testenv.Label+"="+owner)
	containers, err := docker.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filter})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range containers.Items {
		left = append(left, "container "+c.ID)
	}
	networks, err := docker.NetworkList(ctx, client.NetworkListOptions{Filters: filter})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range networks.Items {
		left = append(left, "network "+n.Name)
	}
	volumes, err := docker.VolumeList(ctx, client.VolumeListOptions{Filters: filter})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range volumes.Items {
		left = append(left, "volume "+v.Name)
	}
	nodes, err := docker.NodeList(ctx, client.NodeListOptions{})
	for _, node := range nodes.Items { // an error means that there is no swarm
		if _, uses := node.Spec.Labels[testenv.Label+".user."+owner]; uses && err == nil {
			left = append(left, "swarm")
		}
	}
	return left
}
