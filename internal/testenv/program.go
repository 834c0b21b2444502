package testenv

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Build compiles the program of a package, named as from the working directory ("../backup"), and returns its path in dir. It
// is compiled as for the container image: static, so that it runs in any container, and without a third way of compiling all
// that it needs. flags are more of go build's.
func Build(ctx context.Context, dir, pkg string, flags ...string) (path string, err error) {
	folder, err := filepath.Abs(pkg)
	if err != nil {
		return "", op("Build", pkg, err)
	}
	path = filepath.Join(dir, filepath.Base(folder))
	args := append([]string{"build", "-trimpath", "-o", path}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, pkg)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", op("Build", pkg, fmt.Errorf("%w\n%s", err, out))
	}
	return path, nil
}
