package modules

import (
	"context"
	"errors"
	"strings"

	"github.com/jet-bus/jet-bus/engine"
)

// assert is the assert module. All the conditions given must hold; when one does
// not, the task fails and says which. It needs no connection to the host, and is
// asked in check mode too.
type assert struct {
	// Msg is shown when the assertion fails.
	Msg string `yaml:"msg"`
	// True is a condition that must hold.
	True engine.Expr `yaml:"true"`
	// False is a condition that must not hold.
	False engine.Expr `yaml:"false"`
	// AllTrue are conditions that must all hold; an empty list passes.
	AllTrue []engine.Expr `yaml:"all_true"`
	// AllFalse are conditions of which none may hold; an empty list passes.
	AllFalse []engine.Expr `yaml:"all_false"`
	// SomeTrue are conditions of which at least one must hold; an empty list
	// fails.
	SomeTrue []engine.Expr `yaml:"some_true"`
}

// Validate refuses an assertion of nothing.
func (m *assert) Validate() error {
	if m.True.Text == "" && m.False.Text == "" && m.AllTrue == nil && m.AllFalse == nil && m.SomeTrue == nil {
		return errors.New("one of true, false, all_true, all_false and some_true is needed")
	}
	return nil
}

// Offline says that the host is not needed.
func (m *assert) Offline() bool { return true }

func (m *assert) Query(context.Context, *engine.Host) (engine.Plan, error) {
	return engine.Plan{Need: engine.Passive}, nil
}

func (m *assert) Apply(_ context.Context, h *engine.Host, _ engine.Plan) (engine.Result, error) {
	var broken []string
	expect := func(want bool, exprs ...engine.Expr) error {
		for _, e := range exprs {
			got, err := h.Eval(e, nil)
			if err != nil {
				return err
			}
			if got != want {
				broken = append(broken, e.Text+" is "+truth(got))
			}
		}
		return nil
	}
	yes, no := m.AllTrue, m.AllFalse
	if m.True.Text != "" {
		yes = append([]engine.Expr{m.True}, yes...)
	}
	if m.False.Text != "" {
		no = append([]engine.Expr{m.False}, no...)
	}
	if err := errors.Join(expect(true, yes...), expect(false, no...)); err != nil {
		return engine.Result{}, err
	}
	if m.SomeTrue != nil {
		some, err := m.some(h)
		if err != nil {
			return engine.Result{}, err
		}
		if !some {
			broken = append(broken, "none of some_true is true")
		}
	}
	if len(broken) == 0 {
		return engine.Result{}, nil
	}
	why := strings.Join(broken, "; ")
	if m.Msg != "" {
		why = m.Msg + " (" + why + ")"
	}
	return engine.Result{}, errors.New(why)
}

// some evaluates every condition, so that a faulty one is found whatever the
// others say.
func (m *assert) some(h *engine.Host) (bool, error) {
	found := false
	for _, e := range m.SomeTrue {
		ok, err := h.Eval(e, nil)
		if err != nil {
			return false, err
		}
		found = found || ok
	}
	return found, nil
}

func truth(b bool) string {
	if b {
		return "true"
	}
	return "false"
}
