package main

import "syscall"

// ownGroup makes a child that Ctrl-C does not reach and that ends with the demo, also when that is killed. The thread that
// starts the child must live as long as the child: lock it.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
