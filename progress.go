package nuvlaops

import "time"

// Progress is a report on a running call. Reports of one call come one after the other, never at the same time, and the
// callback should return quickly: the call waits for it.
type Progress struct {
	// Op is the exported call: "restore.Apply".
	Op string
	// Phase is what it does now, in a word or two: "restoring", "waiting for primaries".
	Phase string
	// Resource is what it works on, as in Error.
	Resource string
	// Done and Total count Unit; Total is 0 while it is not known.
	Done, Total int64
	// Unit names what is counted: "shards", "jobs", "services".
	Unit string
	// Bytes and TotalBytes are the bytes copied and to copy; TotalBytes is 0 where bytes are not known.
	Bytes, TotalBytes int64
	// Elapsed is the time since the call began.
	Elapsed time.Duration
	// Remaining is an estimate of the time left; 0 while there is none.
	Remaining time.Duration
	// Message is a remark for people: the shard that stalls, the service that is waited for.
	Message string
}

// Fraction returns how much is done, from 0 to 1, and false while that is not known. Bytes count where both are known:
// they advance more evenly than shards.
func (p Progress) Fraction() (float64, bool) {
	switch {
	case p.TotalBytes > 0:
		return max(0, min(1, float64(p.Bytes)/float64(p.TotalBytes))), true
	case p.Total > 0:
		return max(0, min(1, float64(p.Done)/float64(p.Total))), true
	}
	return 0, false
}

// WithRemaining returns p with Remaining estimated from Elapsed and Fraction. There is no estimate before a twentieth
// is done: it would be noise.
func (p Progress) WithRemaining() Progress {
	p.Remaining = 0
	if f, ok := p.Fraction(); ok && f >= 0.05 && f < 1 {
		p.Remaining = time.Duration(float64(p.Elapsed) * (1 - f) / f).Round(100 * time.Millisecond)
	}
	return p
}
