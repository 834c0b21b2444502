// Command sweep removes from the Docker engine what test environments have left whose process is not alive any more, as the
// next one does when it starts. What belongs to a live process, was kept, or carries no label of ours is not touched.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/nuvla/nuvlaops/internal/testenv"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	removed, err := testenv.Sweep(ctx)
	for _, what := range removed {
		fmt.Println("removed", what)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "sweep:", err)
		os.Exit(1)
	}
}
