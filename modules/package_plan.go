package modules

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jet-bus/jet-bus/engine"
)

// Names of what differs in packages.
const (
	fieldVersion = "Version"
	fieldLists   = "Lists"
)

// packages is what the package modules have in common: what they ask and do by
// the manager.
type packages struct {
	have map[string]packageState
	// todo are the packages to install, drop those to remove.
	todo []packageChange
	drop []string
}

func (s *packages) query(ctx context.Context, h *engine.Host, m *packageParams, by manager) (engine.Plan, error) {
	if err := s.look(ctx, h, m, by); err != nil {
		return engine.Plan{}, err
	}
	plan := engine.Plan{Need: engine.Matched, Diffs: s.diffs(h)}
	if len(s.drop) > 0 {
		plan.Need = engine.Remove
		return plan, nil
	}
	if slices.ContainsFunc(s.todo, func(p packageChange) bool { return p.have == "" }) {
		plan.Need = engine.Create
		return plan, nil
	}
	if len(s.todo) > 0 {
		plan.Need, plan.Fields = engine.Modify, []string{fieldVersion}
	}
	if m.Update {
		old, err := outdated(ctx, h, m.Refresh, by)
		if err != nil {
			return engine.Plan{}, err
		}
		if old {
			plan.Need, plan.Fields = engine.Modify, append(plan.Fields, fieldLists)
		}
	}
	return plan, nil
}

// outdated says whether the lists are to be read anew although nothing else is to
// be done. Only apt's tell their age.
func outdated(ctx context.Context, h *engine.Host, r refresh, by manager) (bool, error) {
	a, ok := by.(aptManager)
	if !ok || !r.given {
		return false, nil
	}
	return a.older(ctx, h.Conn, cmp.Or(r.age, listsAge))
}

// look finds what is to be done.
func (s *packages) look(ctx context.Context, h *engine.Host, m *packageParams, by manager) error {
	want := m.wanted()
	s.todo, s.drop = nil, nil
	if err := acceptable(want, by); err != nil {
		return err
	}
	var err error
	if s.have, err = by.installed(ctx, h.Conn, want.names()); err != nil {
		return err
	}
	current := make(map[string]string) // what an update may change
	for _, ref := range want {
		have, ok := s.have[ref.name]
		switch {
		case m.Remove && ok:
			s.drop = append(s.drop, ref.name)
		case m.Remove:
		case have.version == "" || ref.version != "" && !sameVersion(ref.version, have.version):
			s.todo = append(s.todo, packageChange{name: ref.name, version: ref.version, have: have.version})
		case m.Update:
			current[ref.name] = have.version
		}
	}
	if len(current) > 0 {
		next, err := by.newer(ctx, h.Conn, current)
		if err != nil {
			return err
		}
		for _, name := range sortedKeys(current) {
			if v := next[name]; v != "" {
				s.todo = append(s.todo, packageChange{name: name, version: v, have: current[name], newest: true})
			}
		}
	}
	for _, name := range append(changed(s.todo), s.drop...) {
		if err := held(name, s.have[name]); err != nil {
			return err
		}
	}
	return nil
}

// diffs are the packages that change, before and after.
func (s *packages) diffs(h *engine.Host) []engine.Diff {
	var before, after []string
	for _, p := range s.todo {
		if p.have != "" {
			before = append(before, p.name+" "+p.have)
		}
		after = append(after, strings.TrimSpace(p.name+" "+p.version))
	}
	for _, name := range s.drop {
		before = append(before, strings.TrimSpace(name+" "+s.have[name].version))
	}
	return packageDiff(h, before, after)
}

func (s *packages) apply(ctx context.Context, h *engine.Host, m *packageParams, by manager) (engine.Result, error) {
	if len(s.drop) > 0 {
		if err := by.remove(ctx, h.Conn, s.drop); err != nil {
			return engine.Result{}, err
		}
		return s.result(ctx, h, m, by)
	}
	before := s.have
	if err := s.refresh(ctx, h, m, by); err != nil {
		return engine.Result{}, err
	}
	if len(s.todo) > 0 {
		todo, err := by.resolve(ctx, h.Conn, s.todo)
		if err != nil {
			return engine.Result{}, err
		}
		if err := by.install(ctx, h.Conn, todo); err != nil {
			return engine.Result{}, err
		}
	}
	s.have = before
	return s.result(ctx, h, m, by)
}

// refresh reads the lists anew if that is asked for, and finds anew what is to be
// done if that depends on them.
func (s *packages) refresh(ctx context.Context, h *engine.Host, m *packageParams, by manager) error {
	if !m.Refresh.given {
		return nil
	}
	if m.Refresh.age > 0 {
		if a, ok := by.(aptManager); ok {
			if old, err := a.older(ctx, h.Conn, m.Refresh.age); err != nil || !old {
				return err
			}
		}
	}
	if err := by.refresh(ctx, h.Conn); err != nil {
		return err
	}
	if !m.Update {
		return nil
	}
	return s.look(ctx, h, m, by)
}

// result looks at what came of it: a manager may succeed without having done
// what was asked.
func (s *packages) result(ctx context.Context, h *engine.Host, m *packageParams, by manager) (engine.Result, error) {
	want := m.wanted()
	now, err := by.installed(ctx, h.Conn, want.names())
	if err != nil {
		return engine.Result{}, err
	}
	var said []string
	for _, ref := range want {
		before, after := s.have[ref.name].version, now[ref.name].version
		switch {
		case m.Remove && after != "":
			return engine.Result{}, fmt.Errorf("removing %s: version %s is still installed", ref.name, after)
		case !m.Remove && after == "":
			return engine.Result{}, fmt.Errorf("installing %s: it is not installed afterwards", ref.name)
		case ref.version != "" && !sameVersion(ref.version, after):
			return engine.Result{}, fmt.Errorf("installing %s %s: version %s is installed afterwards", ref.name, ref.version, after)
		case before == after:
		case before == "":
			said = append(said, "installed "+ref.name+" "+after)
		case after == "":
			said = append(said, "removed "+ref.name+" "+before)
		default:
			said = append(said, "changed "+ref.name+" from "+before+" to "+after)
		}
	}
	return engine.Result{Message: strings.Join(said, ", "), Data: packageData(want.names(), s.have, now)}, nil
}
