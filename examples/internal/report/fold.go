package report

import (
	"fmt"
	"regexp"
)

// unfolded is how many indices of one data stream have a row each, for people.
const unfolded = 10

var backingForm = regexp.MustCompile(`^(?:[a-z]+-[^.]*)?\.ds-(.+)-\d{4}\.\d{2}\.\d{2}-\d{6,}$`)

// stream is the data stream that an index is named after, "" for none, and for one that does not hold what the manifest has.
func (i Index) stream() string {
	if m := backingForm.FindStringSubmatch(i.Index); m != nil && (i.Expected == nil || *i.Expected == i.Documents) {
		return m[1]
	}
	return ""
}

// rows are the indices, with those of a data stream as one where they are many.
func (r *Report) rows() (out []Index) {
	all := map[string][]Index{}
	for _, i := range r.Indices {
		all[i.stream()] = append(all[i.stream()], i)
	}
	for _, i := range r.Indices {
		switch of := all[i.stream()]; {
		case i.stream() == "" || len(of) <= unfolded:
			out = append(out, i)
		case i.Index == of[0].Index:
			out = append(out, together(i.stream(), of))
		}
	}
	return out
}

// together sums up; what is not known of each is not known of all.
func together(stream string, all []Index) Index {
	sum := Index{Index: fmt.Sprintf("%s (%d indices)", stream, len(all)), Before: new(int64), Expected: new(int64)}
	add := func(to **int64, n *int64) {
		if n == nil || *to == nil {
			*to = nil
			return
		}
		**to += *n
	}
	for _, i := range all {
		sum.Documents, sum.Primaries = sum.Documents+i.Documents, sum.Primaries+i.Primaries
		add(&sum.Before, i.Before)
		add(&sum.Expected, i.Expected)
	}
	return sum
}
