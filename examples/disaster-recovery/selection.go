package main

import (
	"cmp"
	"slices"
	"strings"

	"github.com/nuvla/nuvlaops/examples/internal/cli"
)

// What -only takes.
const (
	onlyES = "elasticsearch"
	onlyZK = "zookeeper"
)

// stepNames are the steps in the order in which -from counts them. Some of them run side by side.
var stepNames = []string{"stop-core", "stop-db", "look", "keep-old", "wipe", "deploy-db", "start-es", "start-zk",
	"repository", "restore", "newest", "queue", "promote", "start-core"}

// notOf are the steps that have nothing to do when the other database alone is recovered.
var notOf = map[string][]string{
	onlyZK: {"look", "start-es", "repository", "restore", "newest", "promote"},
	onlyES: {"start-zk"},
}

func knownStep(flag, name string) error {
	if slices.Contains(stepNames, name) {
		return nil
	}
	return cli.Usagef("%s %q is no step: want one of %s", flag, name, strings.Join(stepNames, ", "))
}

// leftOut says why a step is not run, "" when it is. No guard is lifted by it: what a step that is left out would have
// proven is not proven, and the steps that need it refuse.
func (c *config) leftOut(step string) string {
	switch {
	case c.drill && step == "start-core" && len(c.copied) > 0:
		return ""
	case c.drill:
		return notInDrills[step]
	case slices.Contains(c.skip, step):
		return "left out, as -skip says"
	case c.from != "" && slices.Index(stepNames, step) < slices.Index(stepNames, c.from):
		return "left out, as -from " + c.from + " says"
	case slices.Contains(notOf[c.only], step):
		return "nothing to do: only " + c.only + " is recovered"
	}
	return ""
}

// asked says whether the operator has left out a step that would have had something to do.
func (c *config) asked(step string) bool {
	return !slices.Contains(notOf[c.only], step) && (slices.Contains(c.skip, step) || slices.Index(stepNames, step) < slices.Index(stepNames, c.from))
}

// fromOn are the steps from -from on, all of them when there is none.
func (c *config) fromOn() []string { return stepNames[max(0, slices.Index(stepNames, c.from)):] }

// recovers says whether this database is recovered.
func (c *config) recovers(database string) bool { return c.only == "" || c.only == database }

// oneStack says whether the databases and the core are services of the same stack.
func (c *config) oneStack() bool { return c.core == cmp.Or(c.production, c.db) }

// dbMeant are the services of the database stack that are stopped, wiped and started. Whatever else is in it is left alone:
// nothing here starts it again, and its volumes may hold anything, the snapshots too.
func (c *config) dbMeant() []string {
	switch c.only {
	case onlyES:
		return []string{"es"}
	case onlyZK:
		return []string{"zk"}
	}
	return dbServices
}
