package testenv

import "context"

// Label is on everything that this package makes on an engine. Its value names the owner, see OwnerLabelValue.
const Label = "org.nuvla.nuvlaops.testenv"

// OwnerLabelValue is the value of Label for what this process makes. Put it, in a compose file, under deploy.labels and
// labels of each service and under labels of each volume, network, secret and config.
func OwnerLabelValue() string { return "" }

// Sweep removes what processes have left that are not alive any more (kill -9, a power cut), but for what Keep has marked,
// and for images. It returns what it removed, as "container NAME". The first start in a process calls it.
func Sweep(ctx context.Context) (removed []string, err error) { return nil, errTodo }

// Clean removes everything that carries Label, whoever owns it, with the images of this project and a swarm that this
// package made. It returns what it removed.
func Clean(ctx context.Context) (removed []string, err error) { return nil, errTodo }

// RemoveOwn removes everything that this process has made.
func RemoveOwn(ctx context.Context) error { return errTodo }

// Keep lets what this process has made outlive it: Guard's end, Main's end and every later Sweep spare it, until Clean.
func Keep(ctx context.Context) error { return errTodo }

// NewVolume makes an empty volume and returns its name.
func NewVolume(ctx context.Context) (string, error) { return "", errTodo }

// NewNetwork makes a bridge network and returns its name.
func NewNetwork(ctx context.Context) (string, error) { return "", errTodo }
