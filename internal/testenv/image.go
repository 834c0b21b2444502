package testenv

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/nuvla/nuvlaops/internal/testenv/images"
)

// resolve finds or makes an image. Assembly takes minutes, so its steps are told on standard error; nothing else is ever
// written there.
func resolve(ctx context.Context, name images.Name, version string) (images.Image, error) {
	if _, err := own().engine(ctx); err != nil { // whose errors say more than those of a build
		return images.Image{}, err
	}
	ctx, done, err := own().begin(ctx)
	if err != nil {
		return images.Image{}, err
	}
	defer done()
	resolver, err := images.New(&images.Options{Progress: tell})
	if err != nil {
		return images.Image{}, err
	}
	return resolver.Resolve(ctx, images.Spec{Name: name, Version: version})
}

func tell(s images.Step) {
	if s.Done && s.Err == nil {
		fmt.Fprintf(os.Stderr, "testenv: image of %s: %s: done in %s\n", s.Image, s.What, s.Took.Round(time.Second))
	} else if !s.Done {
		fmt.Fprintf(os.Stderr, "testenv: image of %s: %s\n", s.Image, s.What)
	}
}
