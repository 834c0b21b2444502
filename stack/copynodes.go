package stack

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"

	"github.com/nuvla/nuvlaops"
)

// Labels of a note on a copy that is being removed, beside labelCopyOf.
const (
	labelRemoved = "org.nuvla.ops.copy.removed" // the name of the copy
	labelNodes   = "org.nuvla.ops.copy.nodes"   // identifiers of nodes, divided by commas
)

// noteNodes writes down on which nodes volumes of the copy may be: its tasks say so, and go with its services.
func (s *Swarm) noteNodes(ctx context.Context, w *world, from string) error {
	var nodes []string
	for name, v := range w.services {
		if !slices.ContainsFunc(mounts(v), func(m Mount) bool { return m.Own }) {
			continue
		}
		for _, t := range w.tasks[name] {
			if t.NodeID != "" && !slices.Contains(nodes, t.NodeID) {
				nodes = append(nodes, t.NodeID)
			}
		}
	}
	if len(nodes) == 0 {
		return nil
	}
	note := swarm.ConfigSpec{Data: []byte("where volumes of a copy may be: see the labels\n")}
	note.Name = "nuvlaops-copy-" + rand.Text()
	note.Labels = map[string]string{labelCopyOf: from, labelRemoved: w.stack, labelNodes: strings.Join(nodes, ",")}
	_, err := s.api.ConfigCreate(ctx, client.ConfigCreateOptions{Spec: note})
	return explain(note.Name, err)
}

// noted are the notes on nodes where volumes of the copy may be.
func (s *Swarm) noted(ctx context.Context, w *world, from string) ([]swarm.Config, error) {
	notes, err := read(ctx, s, w.stack, func(ctx context.Context) (client.ConfigListResult, error) {
		return s.api.ConfigList(ctx, client.ConfigListOptions{
			Filters: make(client.Filters).Add("label", labelCopyOf+"="+from).Add("label", labelRemoved+"="+w.stack)})
	})
	return notes.Items, err
}

func isNoted(notes []swarm.Config, node string) bool {
	return slices.ContainsFunc(notes, func(note swarm.Config) bool { return strings.Contains(note.Spec.Labels[labelNodes], node) })
}

// checkNotes refuses a copy that would find volumes of an earlier one where nobody can look.
func (s *Swarm) checkNotes(ctx context.Context, w *world, from string) error {
	notes, err := s.noted(ctx, w, from)
	if err != nil {
		return err
	}
	for _, n := range w.fleet.unreached() {
		if isNoted(notes, n.ID) {
			return &nuvlaops.Error{Resource: w.stack, Reason: "volumes of an earlier copy may be left on node " + n.Description.Hostname, Err: nuvlaops.ErrRefused,
				Hint: "nothing was changed; remove what is left of that copy"}
		}
	}
	return nil
}

// removeCopiedVolumesByJobs removes them on the nodes that are noted and that jobs reach. A node whose job fails is dark from
// then on.
func (s *Swarm) removeCopiedVolumesByJobs(ctx context.Context, w *world, from string, notes []swarm.Config) error {
	nodes := slices.DeleteFunc(slices.Clone(w.fleet.byJob), func(n swarm.Node) bool { return !isNoted(notes, n.ID) })
	return s.lookAround(ctx, w.fleet, nodes, func(n swarm.Node) error {
		_, err := s.onNode(ctx, n, jobRequest{Do: "remove-copy", Stack: w.stack, From: from})
		return err
	})
}

// nothingLeft names the nodes that may still hold something of a copy, or removes the notes when there is none.
func (s *Swarm) nothingLeft(ctx context.Context, w *world, notes []swarm.Config, silent []swarm.Task) (err error) {
	var left []string
	for _, n := range w.fleet.dark {
		if isNoted(notes, n.ID) {
			left = append(left, "volumes on node "+n.Description.Hostname+", which cannot be reached: "+n.why)
		}
	}
	for _, n := range w.fleet.unreached() {
		if slices.ContainsFunc(silent, func(t swarm.Task) bool { return t.NodeID == n.ID }) {
			left = append(left, "containers on node "+n.Description.Hostname+", which is down")
		}
	}
	if len(left) > 0 {
		hint := "bring the nodes back, or name their engines or an image for a job on them, and call again"
		for _, note := range notes {
			hint += "; when the volumes have been removed by hand: docker config rm " + note.Spec.Name
		}
		return &nuvlaops.Error{Reason: "of the copy there may be left: " + strings.Join(left, "; "), Err: nuvlaops.ErrRefused, Hint: hint}
	}
	for _, note := range notes {
		err = errors.Join(err, s.removed(ctx, func(ctx context.Context) error {
			_, err := s.api.ConfigRemove(ctx, note.ID, client.ConfigRemoveOptions{})
			return err
		}))
	}
	return explain(w.stack, err)
}
