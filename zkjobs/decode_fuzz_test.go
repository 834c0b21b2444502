package zkjobs

import (
	"encoding/json"
	"testing"
	"time"
	"unicode/utf8"
)

// FuzzDecodeJob: whatever a document is, it gives a job that may be queued, or one that says what is wrong.
func FuzzDecodeJob(f *testing.F) {
	for _, seed := range []string{`{}`, `null`, `[]`, `"x"`, `{"id":"job/x","state":"QUEUED","priority":50,"created":"2026-01-02T03:04:05.006Z"}`,
		`{"id":"job/x","priority":"50"}`, `{"id":"job/x","priority":1e400}`, `{"id":"job/x","priority":null,"tags":"/job/entries/entry-001-0000000001"}`,
		`{"id":"job/x","tags":[1,{},null,"/job/entries/entry-999-0000000001"]}`, `{"id":["job/x"],"created":1e3}`, `{"id":"job/x","created":"2026-13-45"}`,
		`{"id":"job/x","version":2.5,"action":{},"execution-mode":7}`, `{"id":"job/\u0000"}`, `{"id":"job/x","created":-99999999999999999}`,
		`{"id":"job/x","created":999999999999999}`, `{"id":"job/x","created":"999999999999999"}`} {
		f.Add("x", []byte(seed))
	}
	f.Fuzz(func(t *testing.T, docID string, source []byte) {
		job := decodeJob(docID, source, interner())
		if job.Invalid != "" {
			return
		}
		if again := checkID(job.ID); again != "" || !utf8.ValidString(job.ID) || len(job.ID) < 5 {
			t.Errorf("valid, but its id %q: %s", job.ID, again)
		}
		if job.Priority < 0 || job.Priority > LowestPriority {
			t.Errorf("valid, but its priority is %d", job.Priority)
		}
		if _, err := json.Marshal(job); err != nil {
			t.Errorf("valid, but it cannot be written into a plan: %v", err)
		}
		if !json.Valid(source) {
			t.Errorf("valid, of a document that is no JSON: %q", source)
		}
	})
}

func TestDatesAreReadAsElasticsearchReadsThem(t *testing.T) {
	at := func(s string) time.Time {
		d, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	for in, want := range map[string]time.Time{
		"2026-01-02T03:04:05.006Z": at("2026-01-02T03:04:05.006Z"), "2026-01-02T03:04:05,5Z": at("2026-01-02T03:04:05.5Z"),
		"2026-01-02": at("2026-01-02T00:00:00Z"), "2026-02": at("2026-02-01T00:00:00Z"), "2026": at("2026-01-01T00:00:00Z"),
		"2026-01-02T03:04+0200": at("2026-01-02T01:04:00Z"), "2026-01-02T03:04:05-01:30": at("2026-01-02T04:34:05Z"),
		"2026-01-02T03": at("2026-01-02T03:00:00Z"), "2026-12-31T23:59:59.999-0030": at("2027-01-01T00:29:59.999Z"), "2026-01-02T03+02": at("2026-01-02T01:00:00Z"),
		"2026-01-02T03:04:05.000000001Z": at("2026-01-02T03:04:05.000000001Z"), "-1": at("1969-12-31T23:59:59.999Z"), "1767323045006": at("2026-01-02T03:04:05.006Z"),
	} {
		if got, ok := parseDate(in); !ok || !got.Equal(want) {
			t.Errorf("%s: got %v, %t, want %v", in, got, ok, want)
		}
	}
	for _, in := range []string{"", "yesterday", "2026-13-01", "2026-02-30", "2026-01-02 03:04:05", "2026-01-02T03:61", "2026-01-02T24:00", "2026-01-02T25",
		"2026-01-02T03:60", "2026-01-02T03:04:60Z", "2026-00-01", "2026-01-00", "99999-01-02"} {
		if got, ok := parseDate(in); ok {
			t.Errorf("%q: got %v, want an error", in, got)
		}
	}
}
