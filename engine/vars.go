package engine

import (
	"maps"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/inventory"
)

// scope says which variables a task sees beside the host's own: those of its
// play and, in a role, those of the role and its invocation. Scopes are made
// once for a play and compared by address.
type scope struct {
	play *play
	// role is nil for loose tasks and handlers.
	role *roleCall
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
	// notified holds the events raised in the current play.
	notified map[string]bool
	// out is true once the host failed or could not be reached.
	out   bool
	stats Stats
	conns map[conn.Target]conn.Conn

	// vars is the blend for scope, nil when it must be made anew.
	vars  map[string]any
	scope *scope
}

func newHostState(h *inventory.Host) *hostState {
	return &hostState{
		host:     h,
		saved:    make(map[string]any),
		facts:    make(map[string]any),
		notified: make(map[string]bool),
		conns:    make(map[conn.Target]conn.Conn),
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

	layers := []map[string]any{sc.play.defaults}
	if sc.role != nil {
		layers = append(layers, sc.role.role.defaults)
	}
	layers = append(layers, host, s.facts, sc.play.vars)
	if sc.role != nil {
		layers = append(layers, sc.role.vars)
	}
	layers = append(layers, extra)

	var vars any = map[string]any{}
	for _, l := range layers {
		if len(l) > 0 {
			vars = inventory.Blend(vars, l)
		}
	}
	s.vars, s.scope = vars.(map[string]any), sc
	return s.vars
}
