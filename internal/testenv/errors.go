package testenv

import "errors"

// What can be wrong with the engine or the machine.
var (
	// ErrNoEngine: no Docker engine answers.
	ErrNoEngine = errors.New("no Docker engine answers")
	// ErrPermission: the engine's socket may not be used by this user.
	ErrPermission = errors.New("no permission on the Docker socket")
	// ErrEngineTooOld: the engine's API is older than 1.41.
	ErrEngineTooOld = errors.New("the Docker engine is too old")
	// ErrPortTaken: a port that must be published is in use.
	ErrPortTaken = errors.New("the port is in use")
	// ErrDiskFull: there is no space left.
	ErrDiskFull = errors.New("the disk is full")
)
