package restore

import "time"

// SetClaimEvery makes drills renew their claim more often than every 10 s.
func (r *Repo) SetClaimEvery(d time.Duration) { r.claimEvery = d }
