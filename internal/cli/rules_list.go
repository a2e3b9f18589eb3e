package cli

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"os"
	"strings"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/control"
	"github.com/jet-bus/jet-bus/internal/dispatch"
	"github.com/jet-bus/jet-bus/internal/proc"
	"github.com/jet-bus/jet-bus/rules"
)

// ruleLine is the JSON form of a rule in force.
type ruleLine struct {
	Rule     string         `json:"rule"`
	On       []string       `json:"on"`
	Playbook string         `json:"playbook,omitempty"`
	Enabled  bool           `json:"enabled"`
	Terms    []string       `json:"terms,omitempty"`
	Paused   *control.Pause `json:"paused,omitempty"`
}

// rulesList shows the rules in force, and which of them are paused.
func (a *app) rulesList(ctx context.Context) error {
	b, done, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer done()
	set, err := a.rulesInForce(ctx, b)
	if err != nil {
		return err
	}
	paused, err := pausedRules(ctx, b)
	if err != nil {
		return err
	}
	rows := [][]string{{"RULE", "STATE", "ON", "PLAYBOOK", "TERMS"}}
	show := func(r ruleLine) error {
		if a.json {
			return a.line(r)
		}
		state := "enabled"
		switch {
		case r.Paused != nil:
			state = pauseState(*r.Paused)
		case !r.Enabled:
			state = "disabled"
		}
		rows = append(rows, []string{r.Rule, state, strings.Join(r.On, ", "), cmp.Or(r.Playbook, "-"), strings.Join(r.Terms, "; ")})
		return nil
	}
	for _, r := range set.Rules() {
		line := ruleLine{Rule: r.Name, On: r.On, Enabled: r.Enabled, Terms: r.Terms()}
		if r.Run != nil {
			line.Playbook = r.Run.Playbook
		}
		if p, ok := paused[r.Name]; ok {
			line.Paused = &p
		}
		if err := show(line); err != nil {
			return err
		}
	}
	if a.json {
		return nil
	}
	if err := table(a.env.Stdout, rows); err != nil {
		return err
	}
	all, err := dispatch.Activations(ctx, b)
	if err != nil {
		return err
	}
	for _, act := range dispatch.InForce(all, math.MaxUint64) {
		if act.Revision != "" {
			a.printf("rule set %s is revision %s of %s\n", short(act.RuleSet), short(act.Revision), proc.Printable(act.From))
		}
	}
	return a.contentNotes(ctx, b)
}

// rulesInForce fetches the rule set that judges events now.
func (a *app) rulesInForce(ctx context.Context, b *bus.Bus) (*rules.Set, error) {
	w := why{app: a, bus: b}
	sets, _, err := w.inForce(ctx, math.MaxUint64)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "jet-rules-")
	if err != nil {
		return nil, fmt.Errorf("fetch the rules: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	return w.rules(ctx, sets[len(sets)-1].Bundle, dir) // the newest
}

// pausedRules returns the rules that are paused or being resumed, by name. One that
// has caught up is neither, though its record is still there.
func pausedRules(ctx context.Context, b *bus.Bus) (map[string]control.Pause, error) {
	all, err := control.List(ctx, b)
	if err != nil {
		return nil, err
	}
	out := make(map[string]control.Pause)
	for _, p := range all {
		if p.Kind == control.Rule && !p.Live {
			out[p.Name] = p
		}
	}
	return out, nil
}

// pauseState says in a few words what has become of what is paused.
func pauseState(p control.Pause) string {
	if p.Resuming {
		return fmt.Sprintf("resuming, at event %d", p.From)
	}
	s := fmt.Sprintf("paused since %s by %s", stamp(p.Since), p.By)
	if p.Reason != "" {
		s += ": " + p.Reason
	}
	return s
}
