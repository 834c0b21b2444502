package cli

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestAnAddressOfElasticsearchIsCompleted(t *testing.T) {
	for address, want := range map[string]string{
		"es": "http://es:9200", "es:9243": "http://es:9243", "https://es": "https://es:9200", "https://es:443": "https://es:443", "http://es:9200/": "http://es:9200/",
		"[::1]": "http://[::1]:9200", "https://[::1]:9243": "https://[::1]:9243",
	} {
		if got, err := checkAddress(address); err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", address, got, err, want)
		}
	}
}

func TestTheUserOfZooKeeperComesFromAFileOrTheEnvironment(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth")
	for _, tc := range []struct {
		file, user, password string // of the file, and of the environment
		want                 string // empty: a usage error
	}{
		{"", "", "", ":"},
		{"", "u", "p", "u:p"},
		{"", "u", "", ""}, {"", "", "p", ""}, {"", "u:v", "p", ""},
		{"u:p\n", "", "", "u:p"}, {"u:p:q\r\n", "", "", "u:p:q"},
		{"u:p", "u", "p", ""}, {"u:p", "u", "", ""}, {"u:p", "", "p", ""},
		{"u", "", "", ""}, {":p", "", "", ""}, {"u:", "", "", ""}, {"u:p\nv:q\n", "", "", ""},
	} {
		t.Setenv("ZK_USERNAME", tc.user)
		t.Setenv("ZK_PASSWORD", tc.password)
		z := ZooKeeper{}
		if tc.file != "" {
			z.auth = path
			if err := os.WriteFile(path, []byte(tc.file), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		options, err := z.Options()
		if got := errors.Is(err, ErrUsage); got != (tc.want == "") {
			t.Errorf("%+v: got %v", tc, err)
		}
		if err == nil && (options.User+":"+options.Password != tc.want || options.TLS != nil) {
			t.Errorf("%+v: got %+v", tc, options)
		}
	}
	t.Setenv("ZK_USERNAME", "")
	t.Setenv("ZK_PASSWORD", "")
	if _, err := (&ZooKeeper{auth: path + ".none"}).Options(); !errors.Is(err, ErrUsage) {
		t.Errorf("a file that is not there: %v", err)
	}
}
