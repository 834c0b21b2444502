package images

import "syscall"

// ownGroup makes a child the head of a group of its own: Ctrl-C reaches us alone, and we end it with all that it has
// started. It is told to end when we are killed; for that, the thread that starts it must live as long as it does.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
