package engine

import (
	"slices"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// TaskInfo describes a task or handler of a playbook.
type TaskInfo struct {
	Play string
	// Role is the role's name, empty outside of roles. Block is the name of the
	// innermost block around the task that has one.
	Role, Block  string
	Name, Module string
	// Tags are the task's own tags and all it inherits, sorted.
	Tags    []string
	Handler bool
	Pos     strictyaml.Pos
}

// Join returns a playbook with the plays of all, in order. Run as one, they share
// what is known of the hosts. Names in a play stay relative to the directory of
// the playbook it came from.
func Join(pbs ...*Playbook) *Playbook {
	joined := &Playbook{}
	for i, pb := range pbs {
		if i > 0 {
			joined.File += ", "
		}
		joined.File += pb.File
		joined.plays = append(joined.plays, pb.plays...)
	}
	return joined
}

// Tasks returns the tasks and handlers that Tags, SkipTags and StartAt of o leave,
// in the order they run. A StartAt that names no task is an error.
func (pb *Playbook) Tasks(o Options) ([]TaskInfo, error) {
	plans, err := pb.plan(&o)
	if err != nil {
		return nil, err
	}
	var list []TaskInfo
	for _, p := range plans {
		if p == nil {
			continue
		}
		for _, s := range slices.Concat(p.steps, p.handlers) {
			if s.mark == markTask {
				list = append(list, s.info())
			}
		}
	}
	return list, nil
}

func (s *step) info() TaskInfo {
	tags := slices.Sorted(slices.Values(s.set.tags))
	return TaskInfo{
		Play: s.scope.play.name, Role: s.scope.roleName(), Block: s.block, Name: s.name, Module: s.module.Name,
		Tags: slices.Compact(tags), Handler: s.handler, Pos: s.pos,
	}
}

// plan returns the plan of every play, nil for those before the task to start at.
func (pb *Playbook) plan(o *Options) ([]*plan, error) {
	sel := newSelection(o)
	plans := make([]*plan, len(pb.plays))
	for i, pl := range pb.plays {
		if p := pl.plan(sel); sel.begun() {
			plans[i] = p
		}
	}
	return plans, sel.fault()
}
