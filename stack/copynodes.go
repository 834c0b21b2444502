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

// nothingLeft names the nodes that may still hold something of a copy, or removes the notes when there is none.
func (s *Swarm) nothingLeft(ctx context.Context, w *world, from string, silent []swarm.Task) error {
	notes, err := read(ctx, s, w.stack, func(ctx context.Context) (client.ConfigListResult, error) {
		return s.api.ConfigList(ctx, client.ConfigListOptions{
			Filters: make(client.Filters).Add("label", labelCopyOf+"="+from).Add("label", labelRemoved+"="+w.stack)})
	})
	if err != nil {
		return err
	}
	var left []string
	hint := "bring the nodes back, or name their engines, and call again"
	for _, note := range notes.Items {
		hint += "; when the volumes have been removed by hand: docker config rm " + note.Spec.Name
	}
	for _, n := range w.fleet.unreached() {
		if slices.ContainsFunc(notes.Items, func(note swarm.Config) bool { return strings.Contains(note.Spec.Labels[labelNodes], n.ID) }) {
			left = append(left, "volumes on node "+n.Description.Hostname+", which cannot be reached")
		}
		if slices.ContainsFunc(silent, func(t swarm.Task) bool { return t.NodeID == n.ID }) {
			left = append(left, "containers on node "+n.Description.Hostname+", which is down")
		}
	}
	if len(left) > 0 {
		return &nuvlaops.Error{Reason: "of the copy there may be left: " + strings.Join(left, "; "), Err: nuvlaops.ErrRefused, Hint: hint}
	}
	for _, note := range notes.Items {
		err = errors.Join(err, s.removed(ctx, func(ctx context.Context) error {
			_, err := s.api.ConfigRemove(ctx, note.ID, client.ConfigRemoveOptions{})
			return err
		}))
	}
	return explain(w.stack, err)
}
