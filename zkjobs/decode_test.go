package zkjobs

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// decoded is what is read of the document x with these fields, in words.
func decoded(fields string) string {
	j := decodeJob("x", []byte(`{"id":"job/x","state":"QUEUED",`+fields+`}`), interner())
	created := ""
	if !j.Created.IsZero() {
		created = " " + j.Created.Format(time.RFC3339Nano)
	}
	return strings.TrimRight(fmt.Sprintf("%03d %s %s%s %s", j.Priority, j.Mode, j.Action, created, j.Invalid), " ")
}

func TestADocumentIsReadInEachFormThatItMayHave(t *testing.T) {
	for fields, want := range map[string]string{
		`"version":2`:                          "999 push",
		`"version":2.0,"priority":7`:           "007 push",
		`"version":null,"priority":null`:       "999 push",
		`"version":3`:                          "999 push  version 3 is newer than executors run",
		`"version":"2"`:                        "999 push  version is not a whole number",
		`"priority":0`:                         "000 push",
		`"priority":999`:                       "999 push",
		`"priority":5e1`:                       "050 push",
		`"priority":1000`:                      "999 push  priority 1000 is out of range",
		`"priority":-1`:                        "999 push  priority -1 is out of range",
		`"priority":0.5`:                       "999 push  priority is not a whole number: 0.5",
		`"priority":9007199254740992.0`:        "999 push  priority is not a whole number: 9007199254740992.0", // not exact any more
		`"priority":"50"`:                      `999 push  priority is not a whole number: "50"`,
		`"execution-mode":"pull","action":"a"`: "999 pull a",
		`"execution-mode":""`:                  "999 push",
		`"action":["a"]`:                       "999 push  action is not a string",
		`"action":"a\u0062\/c\"é"`:             `999 push ab/c"é`, // as some writers of JSON escape
		`"created":"2026-01-02T03:04:05.006Z"`: "999 push  2026-01-02T03:04:05.006Z",
		`"created":1767323045006`:              "999 push  2026-01-02T03:04:05.006Z",
		`"created":1.767323045006E12`:          "999 push  2026-01-02T03:04:05.006Z",
		`"created":null`:                       "999 push",
		`"created":"soon"`:                     `999 push  created is not a date: "soon"`,
		`"created":253402300800000`:            "999 push  created is not a date: 253402300800000", // the year 10000
		`"tags":"/job/entries/entry-003-0000000001","priority":7`:                                              "003 push",
		`"tags":["/job/entries/entry-003-0000000001","/job/entries/entry-004-0000000002","x"]`:                 "004 push",
		`"tags":[7,"/job/entries/entry-005-0000000001",null,{}],"priority":7`:                                  "005 push",
		`"tags":["entry-003-0000000001","/job/entries/entry-003-1","/jobs/entries/entry-003-0000000001"]`:      "999 push", // not the queue's
		`"tags":{"a":"/job/entries/entry-003-0000000001"},"priority":7`:                                        "007 push",
		`"tags":["/job/entries/entry-003-0000000001"],"priority":"none","created":"2026-01-02T00:00:00+01:00"`: "003 push  2026-01-01T23:00:00Z",
	} {
		if diff := cmp.Diff(want, decoded(fields)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", fields, diff)
		}
	}
	for source, want := range map[string]string{
		`{"id":"job\/x"}`: "", `{"id":"job/y"}`: `id is not the document's: "job/y"`, `{"id":7}`: "id is not a string", `{}`: "id is empty",
		`{"id":"job/x","state":{}}`: "state is not a string", `[]`: "the document is not an object",
	} {
		if got := decodeJob("x", []byte(source), interner()); got.ID != "job/x" || got.Invalid != want {
			t.Errorf("%s: %q of %s, want %q", source, got.Invalid, got.ID, want)
		}
	}
	for fields, want := range map[string]bool{
		`"state":"RUNNING","action":"bulk_stop","tags":["a","monitor"]`: true, `"state":"RUNNING","action":"bulk_stop","tags":["a"]`: false,
		`"state":"RUNNING","action":"stop","tags":"monitor"`: false, `"state":"QUEUED","action":"bulk_stop","tags":"monitor"`: false,
	} {
		if got := decodeJob("x", []byte(`{"id":"job/x",`+fields+`}`), interner()); got.Monitored != want || got.Invalid != "" {
			t.Errorf("%s: monitored is %t (%s)", fields, got.Monitored, got.Invalid)
		}
	}
}

func TestOnlyWhatKazooNamesIsAnEntry(t *testing.T) {
	for name, want := range map[string]parsed{
		"entry-000-0000000000": {0, 0}, "entry-050-0000000123": {50, 123}, "entry-999-2147483647": {999, 2147483647},
		"entry-050-2147483648": {}, "entry-050--000000001": {}, "entry-050-000000001": {}, "entry-050-00000000001": {}, "entry-50-00000000001": {},
		"entry-05a-0000000001": {}, "entry-050_0000000001": {}, "lock--050-0000000001": {}, "050-0000000001": {}, "entry-": {}, "": {},
	} {
		got, ok := parseEntry(name)
		if got != want || ok != (want != parsed{} || name == "entry-000-0000000000") {
			t.Errorf("%q: %+v, %t", name, got, ok)
		}
	}
	for priority, want := range map[int]string{0: "entry-000-", 50: "entry-050-", 999: "entry-999-"} {
		if got := entryName(priority); got != want {
			t.Errorf("%d: %s", priority, got)
		}
	}
}

// An id that executors cannot read costs each of them seconds, or holds it up for good.
func TestOnlyAJobsIDIsPutOnTheQueue(t *testing.T) {
	for id, good := range map[string]bool{
		"job/0a9z-AZ_.": true, "job/" + strings.Repeat("x", 252): true, "job/" + strings.Repeat("x", 253): false,
		"": false, "job/": false, "job": false, "user/x": false, "jobs/x": false, "/job/x": false, "job/a b": false, "job/a/b": false, "job/é": false, "job/\x00": false,
		"job/@": false, "job/[": false, "job/`": false, "job/{": false, "job/:": false, "job/\x7f": false,
	} {
		if got := checkID(id); (got == "") != good {
			t.Errorf("%q: %q", id, got)
		}
	}
}
