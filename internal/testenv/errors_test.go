package testenv_test

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nuvla/nuvlaops"
	"github.com/nuvla/nuvlaops/internal/testenv"
)

func TestConnectSaysWhatIsWrongWithTheEngine(t *testing.T) {
	old := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Api-Version", "1.40")
	}))
	defer old.Close()
	ancient := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Api-Version", "1.24")
	}))
	defer ancient.Close()
	socket := filepath.Join(t.TempDir(), "docker.sock") // where nobody listens any more
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = l.Close()

	tests := []struct {
		name, host string
		want       error
		hint       string
	}{
		{"no socket", "unix:///nowhere/docker.sock", testenv.ErrNoEngine, "internal/testenv/scripts/engine.sh"},
		{"dead socket", "unix://" + socket, testenv.ErrNoEngine, "internal/testenv/scripts/engine.sh"},
		{"dead port", "tcp://127.0.0.1:1", testenv.ErrNoEngine, "DOCKER_HOST"},
		{"old", strings.Replace(old.URL, "http", "tcp", 1), testenv.ErrEngineTooOld, "20.10"},
		{"ancient", strings.Replace(ancient.URL, "http", "tcp", 1), testenv.ErrEngineTooOld, "20.10"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("DOCKER_HOST", tt.host)
			_, err := testenv.Connect(t.Context())
			checkError(t, err, tt.want, tt.hint)
		})
	}
}

func TestExplainTellsTheMachinesTroublesApart(t *testing.T) {
	tests := []struct {
		says string
		want error
		hint string
	}{
		{"permission denied while trying to connect to the docker API at unix:///var/run/docker.sock", testenv.ErrPermission, "usermod"},
		{"Error response from daemon: mkdir /var/lib/docker/overlay2/x: no space left on device", testenv.ErrDiskFull, "make clean"},
		{"driver failed programming external connectivity: Bind for 127.0.0.1:1 failed: port is already allocated", testenv.ErrPortTaken, "ss -ltnp"},
		{"client version 1.52 is too new. Maximum supported API version is 1.40", testenv.ErrEngineTooOld, "20.10"},
		{"client version 1.42 is too old. Minimum supported API version is 1.44, please upgrade your client to a newer version",
			testenv.ErrClientTooOld, "DOCKER_API_VERSION"},
		{"listen tcp4 127.0.0.1:1: bind: address already in use", testenv.ErrPortTaken, "ss -ltnp"},
	}
	for _, tt := range tests {
		checkError(t, testenv.Explain(errors.New(tt.says)), tt.want, tt.hint)
	}
	other := errors.New("something else")
	if got := testenv.Explain(other); got != other {
		t.Errorf("another error became %v", got)
	}
}

func TestPortTakenIsSaidAndLeavesNothing(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	before := len(carrying(t, testenv.OwnerLabelValue()))
	_, err = testenv.StartS3(t.Context(), testenv.S3Options{Port: l.Addr().(*net.TCPAddr).Port})
	checkError(t, err, testenv.ErrPortTaken, "another port")
	if after := carrying(t, testenv.OwnerLabelValue()); len(after) != before {
		t.Errorf("left: %v", after)
	}
}

func checkError(t *testing.T, err, want error, hint string) {
	t.Helper()
	var e *nuvlaops.Error
	if !errors.Is(err, want) || !errors.As(err, &e) || !strings.Contains(e.Hint, hint) || !strings.Contains(err.Error(), hint) {
		t.Errorf("got %v\nwant %v with a hint on %q", err, want, hint)
	}
}
