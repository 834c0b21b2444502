package zkjobs

import (
	"encoding/json"
	"testing"
)

// FuzzPlanFromJSON: a plan that was kept as JSON is printed, checked and compared, or refused, whatever has become of it.
func FuzzPlanFromJSON(f *testing.F) {
	for _, seed := range []string{`{}`, `null`, `{"path":"/job","jobs":[{"id":"job/a","priority":5,"do":"there","entry":"entry-005-0000000001"}],"summary":{"run_again":1}}`,
		`{"jobs":[{"id":"job/a"},{"id":"job/a"}]}`, `{"extra":[{}],"doubled":[{}],"spared":[{}],"left":{"invalid":-1},"left_out":[{"reason":"invalid"}]}`,
		`{"at":"0001-01-01T00:00:00Z","options":{"max_age_seconds":1e300,"settle_seconds":-1}}`, `{"jobs":null,"busy":["\u001b[2J"]}`} {
		f.Add([]byte(seed))
	}
	queue := []Entry{{Name: "entry-005-0000000001", ID: "job/a"}, {Name: "entry-005-0000000002", ID: "job/a", Taken: true}, {Name: "x\x00", ID: "\xff"}}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var p Plan
		if json.Unmarshal(raw, &p) != nil {
			return
		}
		_ = p.String()
		if p.Validate(p.Path) != nil {
			return
		}
		if r, _ := p.Compare(queue); r != nil {
			_ = r.String()
		}
	})
}

// FuzzParseHosts: what is taken for an address has a host's place and a port.
func FuzzParseHosts(f *testing.F) {
	for _, seed := range []string{"", "zk", "a:2181,b:2181/c", "[::1]:1/x", "a:99999", ":1", "/x", "a/b/c", "a b", "a:b:c", "[", "]", "a:/x", "\x1b[2J"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, list string) {
		hosts, chroot, err := ParseHosts(list)
		if err != nil {
			return
		}
		for _, h := range hosts {
			if _, err := withPort(h); err != nil {
				t.Errorf("%q: address %q: %v", list, h, err)
			}
		}
		if err := (ConnectOptions{Chroot: chroot}).validate(); err != nil {
			t.Errorf("%q: chroot %q: %v", list, chroot, err)
		}
	})
}
