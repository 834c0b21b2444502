//go:build !unix

package filelock

import (
	"errors"
	"os"
)

var errHeld = errors.New("held")

func lock(*os.File) error { return errors.ErrUnsupported }
