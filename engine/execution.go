package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// execution is one task on one host.
type execution struct {
	*run
	step
	host *hostState
	// item is the number of the item at work, from 1; 0 without items.
	item int
}

// outcome is what came of a task, or of one of its items.
type outcome struct {
	status   Status
	changed  bool
	fields   []string
	messages []string
	command  *CommandResult
	items    int
	attempts int
}

// add adds an item's outcome to that of the task. The command is that of the
// first item with the strongest status.
func (o *outcome) add(item outcome) {
	if item.status.rank() > o.status.rank() {
		o.status, o.command = item.status, item.command
	}
	o.changed = o.changed || item.changed
	for _, f := range item.fields {
		if !slices.Contains(o.fields, f) {
			o.fields = append(o.fields, f)
		}
	}
	o.messages = append(o.messages, item.messages...)
	o.attempts = max(o.attempts, item.attempts)
}

// describe writes the outcome into an event.
func (o *outcome) describe(e *Event) {
	e.Status, e.Changed, e.Fields = o.status, o.changed, o.fields
	e.Message = strings.Join(o.messages, "\n")
	e.Command, e.Items, e.Attempts = o.command, o.items, o.attempts
}

// fault is an error that trying again cannot mend.
type fault struct{ error }

func (f fault) Unwrap() error { return f.error }

// task runs the task over its items. A panic is a failure of this host alone.
func (x *execution) task(ctx context.Context) (out outcome) {
	defer func() {
		if p := recover(); p != nil {
			out = outcome{status: StatusFailed, messages: []string{x.say(fmt.Errorf("module %s panicked: %v", x.module.Name, p))}}
		}
	}()
	vars := x.host.blend(x.inv, x.scope, x.ExtraVars)
	defer func() { out.hide(vars) }()
	if x.items == nil {
		return x.once(ctx, vars)
	}
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
	out = outcome{status: StatusSkipped, items: len(list)}
	for i, item := range list {
		x.item = i + 1
		itemVars := maps.Clone(vars)
		itemVars["item"] = item
		one := x.once(ctx, itemVars)
		out.add(one)
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
	out, err := x.attempts(ctx, vars)
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
	case x.ignoreErrors:
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

// attempts tries until it works, until trying is no use, or as often as the
// task wants.
func (x *execution) attempts(ctx context.Context, vars map[string]any) (outcome, error) {
	for n := 1; ; n++ {
		out, err := x.attempt(ctx, vars)
		out.attempts = n
		if err == nil || uint(n) > x.retry {
			return out, err
		}
		if _, hopeless := errors.AsType[fault](err); hopeless {
			return out, err
		}
		if !wait(ctx, x.delay) {
			return out, err
		}
	}
}

// wait returns after d, or false as soon as ctx ends.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return ctx.Err() == nil
	}
}

func (x *execution) attempt(ctx context.Context, vars map[string]any) (outcome, error) {
	var out outcome
	c, err := x.connect(ctx, vars)
	if err == nil {
		out, err = x.work(ctx, c, vars)
	}
	if errors.Is(err, conn.ErrUnreachable) {
		x.disconnect(vars)
	}
	return out, err
}

// work runs the module over an open connection.
func (x *execution) work(ctx context.Context, c conn.Conn, vars map[string]any) (outcome, error) {
	exists, err := x.exists(ctx, c, vars)
	if err != nil || exists {
		return outcome{status: StatusSkipped}, err
	}
	m, err := x.newModule(vars)
	if err != nil {
		return outcome{}, fault{err}
	}
	h := &Host{
		Name: x.host.host.Name, Conn: c, Vars: vars, Check: x.Check,
		run: &hostRun{dir: x.scope.dir(), state: x.host},
	}
	plan, err := m.Query(ctx, h)
	if err != nil {
		return outcome{}, err
	}
	status, ok := plan.Need.status()
	if !ok {
		return outcome{}, fmt.Errorf("module %s answered its query with the unknown need %d", x.module.Name, plan.Need)
	}
	out := outcome{status: status, changed: status.changes(), fields: plan.Fields}
	if plan.Need == Matched || x.Check && plan.Need != Passive {
		return out, nil
	}
	res, err := m.Apply(ctx, h, plan)
	if res.Passive {
		out.status, out.changed = StatusPassive, false
	}
	if res.Message != "" {
		out.messages = []string{res.Message}
	}
	out.command = res.Command
	if err != nil {
		out.changed = false
	}
	if plan.Need == Execute && errors.Is(err, conn.ErrUnreachable) {
		err = fault{fmt.Errorf("the connection was lost while this ran: it may still run on the host, and is not tried again: %w", err)}
	}
	return out, err
}

// status returns the status of a task whose plan was carried out.
func (n Need) status() (Status, bool) {
	switch n {
	case Matched:
		return StatusMatched, true
	case Create:
		return StatusCreated, true
	case Modify:
		return StatusModified, true
	case Remove:
		return StatusRemoved, true
	case Execute:
		return StatusExecuted, true
	case Passive:
		return StatusPassive, true
	default:
		return "", false
	}
}

// exists says whether the path of skip_if_exists is there. A symbolic link is,
// wherever it points.
func (x *execution) exists(ctx context.Context, c conn.Conn, vars map[string]any) (bool, error) {
	if x.skipIfExists == nil {
		return false, nil
	}
	p, err := x.skipIfExists.render("skip_if_exists", vars)
	if err != nil {
		return false, fault{err}
	}
	if !path.IsAbs(p) {
		return false, fault{x.skipIfExists.Errorf("skip_if_exists must be an absolute path, not %q", p)}
	}
	_, err = c.Lstat(ctx, p)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking for the file of skip_if_exists: %w", err)
	}
	return true, nil
}
