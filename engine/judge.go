package engine

import (
	"errors"
	"fmt"
	"maps"
)

// judge lets changed_when and failed_when have their say about a task that was
// carried out, err being its failure.
func (x *execution) judge(out outcome, vars map[string]any, err error) (outcome, error) {
	status, isStatus := err.(*CommandError) //nolint:errorlint // only the user's own command, not one of the module's
	isStatus = isStatus && status.Why == "" && x.failedWhen != nil
	if err != nil && !isStatus {
		out.changed = false
		return out, err
	}
	if x.changedWhen == nil && x.failedWhen == nil {
		return out, nil
	}
	seen := x.seen(out, vars, err)
	if x.changedWhen != nil {
		changed, cerr := x.changedWhen.cond.Eval(seen)
		if cerr != nil {
			out.changed = false
			return out, fault{fmt.Errorf("evaluating changed_when: %w", errors.Join(cerr, err))}
		}
		out.change(changed)
		seen["changed"], seen["status"] = out.changed, string(out.status)
	}
	if x.failedWhen == nil {
		return out, nil
	}
	failed, ferr := x.failedWhen.cond.Eval(seen)
	switch {
	case ferr != nil:
		err = fault{fmt.Errorf("evaluating failed_when: %w", errors.Join(ferr, err))}
	case failed && isStatus:
		err = &CommandError{CommandResult: status.CommandResult, Why: "failed_when holds: " + x.failedWhen.text}
	case failed:
		err = fmt.Errorf("failed_when holds: %s", x.failedWhen.text)
	default:
		return out, nil
	}
	out.changed = false
	return out, err
}

// foresee lets changed_when have its say about a task that would be carried out.
// What it needs to know may not be there yet: then the module's word stands.
func (x *execution) foresee(out outcome, vars map[string]any) outcome {
	if x.changedWhen == nil {
		return out
	}
	if changed, err := x.changedWhen.cond.Eval(x.seen(out, vars, nil)); err == nil {
		out.change(changed)
	}
	return out
}

// seen returns the variables of changed_when and failed_when.
func (x *execution) seen(out outcome, vars map[string]any, err error) map[string]any {
	seen := maps.Clone(vars)
	maps.Copy(seen, out.data)
	seen["changed"], seen["status"], seen["failed"] = out.changed, string(out.status), err != nil
	seen["msg"] = out.message()
	if err != nil {
		seen["msg"], seen["status"] = err.Error(), string(StatusFailed)
	}
	return seen
}

// change makes the outcome a change, or none.
func (o *outcome) change(changed bool) {
	switch {
	case changed == o.changed:
	case changed:
		o.status, o.changed = StatusExecuted, true
	default:
		o.status, o.changed, o.fields = StatusPassive, false, nil
	}
}
