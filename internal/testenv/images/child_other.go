//go:build !linux

package images

import "syscall"

// ownGroup makes a child the head of a group of its own: Ctrl-C reaches us alone, and we end it with all that it has
// started.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
