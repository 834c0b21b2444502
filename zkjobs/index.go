package zkjobs

import "hash/maphash"

// jobIndex finds a plan's jobs by id. It keeps places only, so that for a million jobs it takes 8 MiB, where a map from
// ids takes 50.
type jobIndex struct {
	jobs []Planned // that were put
	seed maphash.Seed
	// slots are places from 1, 0 for none, at the first free slot from that of the id's hash. At most half are in use.
	slots []int32
}

func newJobIndex(room int) *jobIndex {
	size := 8
	for size < 2*room {
		size *= 2
	}
	return &jobIndex{seed: maphash.MakeSeed(), slots: make([]int32, size)}
}

// indexJobs takes jobs whose ids differ.
func indexJobs(jobs []Planned) *jobIndex {
	x := newJobIndex(len(jobs))
	for i := range jobs {
		x.jobs = jobs[:i+1]
		x.slots[x.slot(jobs[i].ID)] = int32(i) + 1
	}
	return x
}

// slot is where an id is, or where it belongs.
func (x *jobIndex) slot(id string) int {
	last := len(x.slots) - 1 // a power of two less one
	at := int(maphash.String(x.seed, id)) & last
	for x.slots[at] != 0 && x.jobs[x.slots[at]-1].ID != id {
		at = (at + 1) & last
	}
	return at
}

func (x *jobIndex) find(id string) (place int, found bool) {
	place = int(x.slots[x.slot(id)]) - 1
	return place, place >= 0
}
