package zkjobs

import "slices"

// compare decides on each job by what is on the queue.
func (p *Plan) compare(before, after *listing) {
	index := p.index()
	if settle := p.Opts.settle(); settle > 0 {
		for i := range p.Jobs {
			if p.Jobs[i].Created.After(p.At.Add(-settle)) {
				p.Jobs[i].Do = DecisionSettle
			}
		}
	}
	p.place(index, after)
	p.placeGone(index, before, after)
	// The job behind an entry that is new may be as new, and not among those that were read. In a queue that was made anew all are.
	p.Extra = slices.DeleteFunc(p.Extra, func(e Entry) bool { _, old := before.find(e.Name); return !old || !sameQueue(before, after) })
	p.spared = nil
	p.mark, p.known = after.mark, after
	p.Busy = busy(before, after)
}

// place finds the jobs behind the entries.
func (p *Plan) place(index *jobIndex, l *listing) {
	for n := range l.entries {
		e := &l.entries[n]
		i, wanted := index.find(e.id)
		switch {
		case !wanted && p.spared[e.id]:
			p.Spared = append(p.Spared, e.public())
			continue
		case !wanted:
			p.Extra = append(p.Extra, e.public())
			continue
		}
		job := &p.Jobs[i]
		if job.Entry != "" {
			kept, found := l.find(job.Entry)
			if !found || !e.goesBefore(&l.entries[kept], job.Priority) {
				p.Doubled = append(p.Doubled, e.public())
				continue
			}
			p.Doubled = append(p.Doubled, l.entries[kept].public())
		}
		e.job, e.id = int32(i)+1, job.ID // one copy of the id
		job.Entry = e.name
		switch {
		case e.taken:
			job.Do = DecisionTaken
		case e.priority() != job.Priority:
			job.Do = DecisionElsewhere
		default:
			job.Do = DecisionThere
		}
	}
}

// goesBefore says which of two entries of a job is kept: the one that a consumer has, else the one at the job's priority, else
// the first.
func (e *entry) goesBefore(kept *entry, priority int) bool {
	if e.taken != kept.taken {
		return e.taken
	}
	return e.priority() == priority && kept.priority() != priority
}

// placeGone marks jobs whose entry was there before the jobs were read, and is not any more. What went with a queue that was
// deleted was not consumed.
func (p *Plan) placeGone(index *jobIndex, before, after *listing) {
	if before.mark.deleted == after.mark.deleted || !sameQueue(before, after) {
		return
	}
	for _, e := range before.entries {
		if i, wanted := index.find(e.id); wanted && p.Jobs[i].Entry == "" {
			p.Jobs[i].Do = DecisionConsumed
		}
	}
}

// index finds jobs by id, and drops those that come a second time.
func (p *Plan) index() *jobIndex {
	index := newJobIndex(len(p.Jobs))
	kept := 0
	for i := range p.Jobs {
		slot := index.slot(p.Jobs[i].ID)
		if index.slots[slot] != 0 {
			p.leave(p.Jobs[i].Job, LeftRepeated)
			continue
		}
		p.Jobs[kept] = p.Jobs[i]
		kept++
		index.slots[slot], index.jobs = int32(kept), p.Jobs[:kept]
	}
	clear(p.Jobs[kept:])
	p.Jobs = p.Jobs[:kept]
	return index
}
