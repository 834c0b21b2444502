package restore

import (
	"cmp"
	"sync"
)

// together runs reads that do not depend on each other side by side, and returns the first error in their order: the same
// one, however fast each of them is.
func together(reads ...func() error) error {
	errs := make([]error, len(reads))
	var wait sync.WaitGroup
	for i, read := range reads {
		wait.Go(func() { errs[i] = read() })
	}
	wait.Wait()
	return cmp.Or(errs...)
}
