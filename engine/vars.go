package engine

import (
	"maps"
	"slices"

	"github.com/jet-bus/jet-bus/engine/conn/ahead"
	"github.com/jet-bus/jet-bus/engine/inventory"
)

// scope says which variables a task sees beside the host's own: those of its
// play, in a role those of the role and its invocation, and in an included file
// those of the include. Scopes are made once for a plan and compared by address.
type scope struct {
	play *play
	// role is nil for loose tasks and handlers.
	role *roleCall
	// outer is the scope around an include and vars are what the include says.
	outer *scope
	vars  map[string]any
}

// layers returns the variables that win over the host's own, lowest first.
func (s *scope) layers() []map[string]any {
	switch {
	case s.outer != nil:
		return append(s.outer.layers(), s.vars)
	case s.role != nil:
		return []map[string]any{s.play.vars, s.role.vars}
	default:
		return []map[string]any{s.play.vars}
	}
}

// defaults returns the variables that the host's own win over, lowest first.
func (s *scope) defaults() []map[string]any {
	if s.role == nil {
		return []map[string]any{s.play.defaults}
	}
	return []map[string]any{s.play.defaults, s.role.role.defaults}
}

func (s *scope) roleName() string {
	if s.role == nil {
		return ""
	}
	return s.role.role.name
}

// dir is where files/ and templates/ are.
func (s *scope) dir() string {
	if s.role == nil {
		return s.play.dir
	}
	return s.role.role.dir
}

// hostState is what a run remembers of one host. Tasks of one host run one
// after the other, so it needs no lock.
type hostState struct {
	host  *inventory.Host
	saved map[string]any
	facts map[string]any
	// notified holds the events that were raised and not yet looked at, due the
	// numbers of the handlers that are to run for those before.
	notified map[string]bool
	due      map[int]bool
	// performed counts how often each handler ran.
	performed map[*step]int
	// out is true once the host failed or could not be reached.
	out   bool
	stats Stats
	walk  walk
	// foresight is anew in every play.
	foresight *foresight

	// vars is the blend for scope, nil when it must be made anew.
	vars  map[string]any
	scope *scope
}

func newHostState(h *inventory.Host) *hostState {
	return &hostState{
		host:      h,
		saved:     make(map[string]any),
		facts:     make(map[string]any),
		notified:  make(map[string]bool),
		due:       make(map[int]bool),
		performed: make(map[*step]int),
		foresight: newForesight(new(ahead.Epoch)),
	}
}

func (s *hostState) set(name string, v any) {
	s.saved[name] = v
	s.vars = nil
}

func (s *hostState) setFact(name string, v any) {
	s.facts[name] = v
	s.vars = nil
}

// blend returns the variables in force in sc, by the precedence of the
// language, lowest first. The map must not be changed.
func (s *hostState) blend(inv *inventory.Inventory, sc *scope, extra map[string]any) map[string]any {
	if s.vars != nil && s.scope == sc {
		return s.vars
	}
	host := maps.Clone(inv.Vars(s.host))
	if host == nil {
		host = make(map[string]any, len(s.saved))
	}
	// A saved value replaces the host variable whole, else lists would grow.
	maps.Copy(host, s.saved)

	s.vars, s.scope = blend(sc, host, s.facts, extra), sc
	s.vars[varHost] = s.host.Name
	return s.vars
}

// varHost is the variable that holds the host's name in the inventory. Nothing
// overrides it.
const varHost = "jet_host"

// blend lays the layers of a scope around a host's variables and facts.
func blend(sc *scope, host, facts, extra map[string]any) map[string]any {
	var vars any = map[string]any{}
	for _, l := range slices.Concat(sc.defaults(), []map[string]any{host, facts}, sc.layers(), []map[string]any{extra}) {
		if len(l) > 0 {
			vars = inventory.Blend(vars, l)
		}
	}
	return vars.(map[string]any)
}
