package modules

import (
	"fmt"
	"strings"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
)

// verdict says what a command that ran amounts to.
type verdict struct{ failedWhen, changedWhen engine.Expr }

// judge tells whether the command changed something, or returns the error that
// it amounts to. seen is what conditions see besides the variables; changed is
// the answer where no condition is given.
func (v verdict) judge(h *engine.Host, done engine.CommandResult, seen map[string]any, changed bool) (bool, error) {
	failed := done.RC != 0
	why := ""
	if v.failedWhen.Text != "" {
		var err error
		if failed, err = h.Eval(v.failedWhen, seen); err != nil {
			return false, fmt.Errorf("evaluating failed_when: %w", err)
		}
		why = "failed_when holds: " + v.failedWhen.Text
	}
	if failed {
		return false, &engine.CommandError{CommandResult: done, Why: why}
	}
	if v.changedWhen.Text == "" {
		return changed, nil
	}
	changed, err := h.Eval(v.changedWhen, seen)
	if err != nil {
		return false, fmt.Errorf("evaluating changed_when: %w", err)
	}
	return changed, nil
}

// commandResult is what events show of a command.
func commandResult(cmd string, out conn.Output) engine.CommandResult {
	return engine.CommandResult{Cmd: cmd, RC: out.Code, Stdout: text(out.Stdout), Stderr: text(out.Stderr)}
}

// results is what a task's result holds of a command.
func results(done engine.CommandResult) map[string]any {
	return map[string]any{
		"rc":  int64(done.RC),
		"out": strings.TrimSuffix(done.Stdout, "\n"),
		"err": strings.TrimSuffix(done.Stderr, "\n"),
	}
}
