//go:build !linux

package main

import "syscall"

// ownGroup makes a child that Ctrl-C does not reach.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
