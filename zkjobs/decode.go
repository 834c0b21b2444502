package zkjobs

import (
	"bytes"
	"encoding/json"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// sourceFields are the fields of a job document that the queue needs.
func sourceFields() []string {
	return []string{"id", "state", "execution-mode", "priority", "tags", "created", "action", "version"}
}

// newestVersion is the newest version of a job document that executors run. They release a newer one and take it again
// at once, for ever.
const newestVersion = 2

// document is a job document as it should be. What may come in several types is decoded by hand.
type document struct {
	ID       json.RawMessage `json:"id"`
	State    json.RawMessage `json:"state"`
	Mode     json.RawMessage `json:"execution-mode"`
	Priority json.RawMessage `json:"priority"`
	Tags     json.RawMessage `json:"tags"`
	Created  json.RawMessage `json:"created"`
	Action   json.RawMessage `json:"action"`
	Version  json.RawMessage `json:"version"`
}

// decodeJob makes a job of a document, whatever JSON it is. docID is the document's _id; words that repeat in every
// document come from intern.
func decodeJob(docID string, source []byte, intern func([]byte) string) Job {
	var doc document
	job := Job{ID: "job/" + docID, Priority: LowestPriority, Mode: modePush}
	if err := json.Unmarshal(source, &doc); err != nil {
		job.Invalid = "the document is not an object"
		return job
	}
	word := func(name string, raw json.RawMessage) string {
		s, ok := text(raw, intern)
		if !ok && job.Invalid == "" {
			job.Invalid = name + " is not a string"
		}
		return s
	}
	if id := word("id", doc.ID); job.Invalid == "" {
		job.Invalid = checkID(id)
		if job.Invalid == "" && id != job.ID {
			job.Invalid = "id is not the document's: " + strconv.Quote(id)
		}
	}
	job.State = word("state", doc.State)
	job.Action = word("action", doc.Action)
	if mode := word("execution-mode", doc.Mode); mode != "" {
		job.Mode = mode
	}
	setVersion(&job, doc.Version)
	tags := decodeTags(doc.Tags)
	setPriority(&job, tags, doc.Priority)
	setCreated(&job, doc.Created)
	job.Monitored = job.State == stateRunning && strings.HasPrefix(job.Action, "bulk") && slices.Contains(tags, "monitor")
	return job
}

func setVersion(job *Job, raw json.RawMessage) {
	v, given, ok := integer(raw)
	switch {
	case job.Invalid != "" || !given:
	case !ok:
		job.Invalid = "version is not a whole number"
	case v > newestVersion:
		job.Invalid = "version " + strconv.FormatInt(v, 10) + " is newer than executors run"
	}
}

// setPriority takes the path on the queue in tags, which lasts, else the document's own number, which is lost at every
// edit, else the lowest.
func setPriority(job *Job, tags []string, raw json.RawMessage) {
	for i := len(tags) - 1; i >= 0; i-- {
		if p, ok := priorityOfTag(tags[i]); ok {
			job.Priority = p
			return
		}
	}
	p, given, ok := integer(raw)
	switch {
	case !given:
	case ok && p >= 0 && p <= LowestPriority:
		job.Priority = int(p)
	case job.Invalid != "":
	case !ok:
		job.Invalid = "priority is not a whole number: " + shorten(string(raw))
	default:
		job.Invalid = "priority " + shorten(string(raw)) + " is out of range"
	}
}

// priorityOfTag reads the priority from "/job/entries/entry-050-0000000123".
func priorityOfTag(tag string) (int, bool) {
	name, found := strings.CutPrefix(tag, "/job/entries/")
	if !found {
		return 0, false
	}
	e, ok := parseEntry(name)
	return e.priority, ok
}

func decodeTags(raw json.RawMessage) []string {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return []string{one}
	}
	var many []string
	_ = json.Unmarshal(raw, &many) // what is not a string among them is not ours: it stays empty, and the rest is decoded
	return many
}

func setCreated(job *Job, raw json.RawMessage) {
	if isNull(raw) {
		return // such a job comes first in its priority: it is older than what we know
	}
	at, ok := dateIn(raw)
	switch {
	case ok:
		job.Created = at
	case job.Invalid == "":
		job.Invalid = "created is not a date: " + shorten(string(raw))
	}
}

func dateIn(raw json.RawMessage) (at time.Time, ok bool) {
	var s string
	if ms, _, isNumber := integer(raw); isNumber {
		at, ok = time.UnixMilli(ms).UTC(), true
	} else if json.Unmarshal(raw, &s) == nil {
		at, ok = parseDate(s)
	}
	return at, ok && isDate(at)
}

// isDate reports whether a time can be written as a date: Elasticsearch takes milliseconds of any size, JSON and people
// four digits for the year.
func isDate(at time.Time) bool { return at.Year() >= 0 && at.Year() <= 9999 }

// strictDate is Elasticsearch's strict_date_optional_time: from the right, each part may be missing.
var strictDate = regexp.MustCompile(`^(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(?:(\d\d)(?::(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?)?(Z|[+-]\d\d(?::?\d\d)?)?)?)?)?$`)

// parseDate reads strict_date_optional_time and epoch_millis.
func parseDate(s string) (time.Time, bool) {
	if at, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return at.UTC(), true
	}
	if m := strictDate.FindStringSubmatch(s); m != nil {
		return dateOf(m)
	}
	if ms, err := strconv.ParseInt(s, 10, 64); err == nil {
		return time.UnixMilli(ms).UTC(), true
	}
	return time.Time{}, false
}

func dateOf(m []string) (time.Time, bool) {
	part := func(i, missing int) int {
		if m[i] == "" {
			return missing
		}
		n, _ := strconv.Atoi(m[i]) // digits only
		return n
	}
	nanos, _ := strconv.Atoi((m[7] + "000000000")[:9])
	zone := time.UTC
	if z := strings.ReplaceAll(m[8], ":", ""); z != "" && z != "Z" {
		hours, _ := strconv.Atoi(z[1:3])
		minutes, _ := strconv.Atoi((z[3:] + "00")[:2])
		offset := hours*3600 + minutes*60
		if z[0] == '-' {
			offset = -offset
		}
		zone = time.FixedZone("", offset)
	}
	month, day, hour, minute, second := part(2, 1), part(3, 1), part(4, 0), part(5, 0), part(6, 0)
	at := time.Date(part(1, 0), time.Month(month), day, hour, minute, second, nanos, zone)
	valid := month >= 1 && month <= 12 && at.Day() == day && minute < 60 && second < 60
	return at.UTC(), valid
}

// text reads a string; a missing one and null are "".
func text(raw json.RawMessage, intern func([]byte) string) (string, bool) {
	if isNull(raw) {
		return "", true
	}
	if n := len(raw); n >= 2 && raw[0] == '"' && bytes.IndexByte(raw, '\\') < 0 && isASCII(raw) {
		return intern(raw[1 : n-1]), true
	}
	var s string
	ok := json.Unmarshal(raw, &s) == nil
	return s, ok
}

// integer reads a whole number. given is false for a missing one and null.
func integer(raw json.RawMessage) (n int64, given, ok bool) {
	if isNull(raw) {
		return 0, false, false
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err == nil {
		return n, true, true
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) >= 1<<53 {
		return 0, true, false
	}
	return int64(f), true, true
}

func isNull(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

func shorten(s string) string {
	const longest = 60
	if r := []rune(s); len(r) > longest {
		return string(r[:longest]) + "..."
	}
	return s
}
