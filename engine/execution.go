package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// execution is one task on one host.
type execution struct {
	*run
	*step
	plan *plan
	host *hostState
	veil veil
	// item is the number of the item at work, from 1; 0 without items.
	item int
	// merged are the variables of the items that are done at once; nil otherwise.
	merged []map[string]any
}

// fault is an error that trying again cannot mend.
type fault struct{ error }

func (f fault) Unwrap() error { return f.error }

// perform carries out the task and stores what it is asked to register.
func (x *execution) perform(ctx context.Context) outcome {
	x.veil.add(x.SudoPassword, x.LoginPassword)
	if x.handler {
		x.host.performed[x.step]++
	}
	out := x.guarded(ctx)
	if x.register != "" {
		x.host.set(x.register, out.registered())
	}
	x.veil.hide(&out)
	if x.set.noLog {
		out.conceal()
	}
	return out
}

// guarded runs the task. A panic is a failure of this host alone.
func (x *execution) guarded(ctx context.Context) (out outcome) {
	defer func() {
		if p := recover(); p != nil {
			out = outcome{status: StatusFailed, messages: []string{x.say(fmt.Errorf("module %s panicked: %v", x.module.Name, p))}}
		}
	}()
	ok, err := x.admitted()
	vars := x.variables()
	x.veil.variables(vars)
	switch {
	case err != nil:
		// It is the block that fails: what the task ignores does not matter.
		out = x.failure(ctx, outcome{}, err)
		out.status = StatusFailed
		return out
	case !ok:
		return outcome{status: StatusSkipped}
	case x.items == nil:
		return x.once(ctx, vars)
	default:
		return x.loop(ctx, vars)
	}
}

// admitted says whether the conditions of the blocks around the task hold. A
// handler does not stand where it runs.
func (x *execution) admitted() (bool, error) {
	if x.handler {
		return true, nil
	}
	return x.admits(x.host, &x.host.walk)
}

// admits asks the conditions of the blocks that a host's walk is in.
func (r *run) admits(h *hostState, w *walk) (bool, error) {
	return w.admitted(func(s *span) (bool, error) { return s.condition.Eval(r.sees(h, s.scope)) })
}

// sees returns the variables that a host's tasks in a scope see, with those of a
// rescue. The map must not be changed.
func (r *run) sees(h *hostState, sc *scope) map[string]any {
	vars := h.blend(r.inv, sc, r.ExtraVars)
	if failed := h.walk.failure(); failed != nil {
		vars = maps.Clone(vars)
		vars["failed_task"], vars["failed_message"] = failed.task, failed.message
	}
	return vars
}

// variables returns those that the task sees. The map must not be changed.
func (x *execution) variables() map[string]any {
	var vars map[string]any
	if x.handler {
		vars = x.host.blend(x.inv, x.scope, x.ExtraVars)
	} else {
		vars = x.sees(x.host, x.scope)
	}
	if x.set.delegateTo != nil {
		vars = maps.Clone(vars)
		vars["delegate_host"] = x.host.host.Name
	}
	return vars
}

// loop runs the task for each of its items.
func (x *execution) loop(ctx context.Context, vars map[string]any) outcome {
	list, err := x.items.resolve(vars)
	if err != nil {
		// A condition may guard against a list that is not there.
		if x.condition != nil {
			if ok, cerr := x.condition.Eval(vars); cerr == nil && !ok {
				return outcome{status: StatusSkipped}
			}
		}
		return x.failure(ctx, outcome{}, err)
	}
	out := outcome{status: StatusSkipped, items: len(list), results: []any{}}
	if x.merged = x.merge(list, vars); x.merged != nil {
		out.add(x.once(ctx, x.merged[0]))
		return out
	}
	for i, item := range list {
		x.item = i + 1
		itemVars := maps.Clone(vars)
		itemVars["item"] = item
		one := x.once(ctx, itemVars)
		out.add(one)
		if x.register != "" {
			result := one.registered()
			result["item"] = item
			out.results = append(out.results, result)
		}
		if one.status == StatusFailed || one.status == StatusUnreachable {
			break
		}
	}
	return out
}

// once runs the task with one set of variables.
func (x *execution) once(ctx context.Context, vars map[string]any) outcome {
	if x.condition != nil {
		ok, err := x.condition.Eval(vars)
		if err != nil {
			return x.failure(ctx, outcome{}, err)
		}
		if !ok {
			return outcome{status: StatusSkipped}
		}
	}
	at, err := x.place(vars)
	if err != nil {
		return x.failure(ctx, outcome{}, err)
	}
	if at.delegated {
		x.veil.variables(at.vars)
	}
	out, err := x.attempts(ctx, vars, at)
	if at.delegated {
		out.places = []string{at.name}
		if errors.Is(err, conn.ErrUnreachable) {
			// It is not the task's own host that is lost.
			err = fmt.Errorf("delegated to %s, which cannot be reached: %s", at.name, err.Error())
		}
	}
	if err == nil && out.changed {
		err = x.raise(vars)
	}
	if err != nil {
		return x.failure(ctx, out, err)
	}
	return out
}

// raise notes the events that the task notifies handlers of.
func (x *execution) raise(vars map[string]any) error {
	for _, n := range x.notify {
		name, err := n.render("notify", vars)
		if err != nil {
			return err
		}
		x.host.notified[name] = true
	}
	return nil
}

// failure turns err into the outcome it means for the task.
func (x *execution) failure(ctx context.Context, out outcome, err error) outcome {
	out.fields = nil
	if !out.changed {
		out.diffs = nil
	}
	out.messages = append(out.messages, x.say(err))
	if ce, ok := errors.AsType[*CommandError](err); ok {
		out.command = &ce.CommandResult
	}
	switch {
	case ctx.Err() != nil:
		out.status = StatusFailed
		out.messages = append(out.messages, "the run was stopped: "+context.Cause(ctx).Error())
	case errors.Is(err, conn.ErrUnreachable):
		out.status = StatusUnreachable
	case x.set.ignoreErrors:
		out.status = StatusIgnored
	default:
		out.status = StatusFailed
	}
	return out
}

// say words a failure. In a loop it names the item, after the place if there is
// one.
func (x *execution) say(err error) string {
	if x.item == 0 {
		return err.Error()
	}
	if f, ok := errors.AsType[fault](err); ok {
		err = f.error
	}
	var lines []string
	for _, one := range flatten(err) {
		said := fmt.Sprintf("item %d: %s", x.item, one)
		if e, ok := errors.AsType[*strictyaml.Error](one); ok && one == error(e) { //nolint:errorlint // only what begins with a place
			said = e.Pos.Errorf("item %d: %w", x.item, e.Err).Error()
		}
		lines = append(lines, said)
	}
	return strings.Join(lines, "\n")
}
