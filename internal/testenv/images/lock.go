package images

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// lock waits until this process alone has the lock of this name among all that share the cache folder. A child that got
// the file keeps the lock after we were killed, until it has ended.
func (r *Resolver) lock(ctx context.Context, name string) (file *os.File, unlock func(), err error) {
	dir := filepath.Join(r.cache, "locks")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, nil, fmt.Errorf("make the cache folder (set XDG_CACHE_HOME to one that can be written): %w", err)
	}
	file, err = os.OpenFile(filepath.Join(dir, name+".lock"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, nil, fmt.Errorf("open lock: %w", err)
	}
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return file, func() { _ = file.Close() }, nil
		}
		if err != syscall.EWOULDBLOCK && err != syscall.EINTR {
			_ = file.Close()
			return nil, nil, fmt.Errorf("lock %s: %w", file.Name(), err)
		}
		select {
		case <-ctx.Done():
			_ = file.Close()
			return nil, nil, ended(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
