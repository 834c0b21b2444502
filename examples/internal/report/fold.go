package report

import (
	"fmt"

	"github.com/nuvla/nuvlaops/internal/fold"
)

// rows are the indices, with those of a data stream as one where they are many. What does not hold what the manifest has stays alone.
func (r *Report) rows() []Index {
	return fold.Groups(r.Indices, func(i Index) string {
		if i.Expected != nil && *i.Expected != i.Documents {
			return ""
		}
		return i.Stream
	}, together)
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
