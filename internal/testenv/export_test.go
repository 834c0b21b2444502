package testenv

import (
	"context"

	"github.com/moby/moby/client"
)

// Connect is the part of the first start that finds an engine.
func Connect(ctx context.Context) (*client.Client, error) {
	docker, err := connect(ctx)
	return docker, explain(err)
}

// Explain is what every call does to an error of the engine.
var Explain = explain

// The labels of a node, and what is done to them when users go.
const (
	UserLabel = userLabel
	WasLabel  = wasLabel
)

// Release drops the users that match, and after the last one puts the labels back.
func Release(labels map[string]string, match func(string) bool) {
	if _, left := dropUsers(labels, match); left == 0 {
		putBack(labels)
	}
}

// OwnerDead is what Sweep asks of a label's value.
func OwnerDead(value string, local bool) bool {
	o, ok := parseOwner(value)
	return ok && o.dead(own().me, local)
}

// CommandWithin is Command with another limit.
var CommandWithin = command
