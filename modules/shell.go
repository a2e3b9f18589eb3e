package modules

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
)

// maxOutput is how much of each output of a user's command is kept, in bytes.
const maxOutput = 8 << 20

// shell is the shell module. It runs its command every time, except in check mode;
// condition, skip_if_exists and changed_when are the means to make it converge.
//
// The result holds rc (the exit status, or 128 plus the signal), out (the standard
// output without its last line end) and err (the standard error, likewise). Of an
// output above 8 MiB the first and the last 4 MiB are kept.
type shell struct {
	// Cmd is the command line for the host's /bin/sh. Values that come from
	// elsewhere belong in quotes: write {{quote name}}.
	Cmd string `yaml:"cmd,required"`
	// Chdir is the absolute path of the directory to run in. When it is not
	// given, that is the user's home over SSH, and the runner's own directory on
	// this machine.
	Chdir hostPath `yaml:"chdir"`
	// Save is the variable that gets a mapping of rc (the exit status, or 128
	// plus the signal), out (the standard output without its last line end) and
	// err (the standard error, likewise). It is stored even if the task fails.
	Save varName `yaml:"save"`
	// FailedWhen is a condition that says whether the command failed, instead of
	// an exit status other than 0. It sees rc, out and err besides the
	// variables.
	FailedWhen engine.Expr `yaml:"failed_when"`
	// ChangedWhen is a condition that says whether the command changed
	// something; otherwise it is taken to have. It sees rc, out and err too.
	ChangedWhen engine.Expr `yaml:"changed_when"`
	// Unsafe has no effect: it is accepted for playbooks written for Jet. No
	// character of a command is refused.
	Unsafe bool `yaml:"unsafe"`
}

// Validate refuses a command that is nothing but blanks.
func (m *shell) Validate() error {
	if strings.TrimSpace(m.Cmd) == "" {
		return errors.New("cmd is empty")
	}
	return nil
}

func (m *shell) Query(context.Context, *engine.Host) (engine.Plan, error) {
	return engine.Plan{Need: engine.Execute}, nil
}

func (m *shell) Apply(ctx context.Context, h *engine.Host, _ engine.Plan) (engine.Result, error) {
	ran, err := h.Conn.Run(ctx, conn.Cmd{Shell: m.Cmd, Dir: string(m.Chdir), MaxOutput: maxOutput})
	if err != nil {
		return engine.Result{}, fmt.Errorf("running the command: %w", err)
	}
	done := engine.CommandResult{Cmd: m.Cmd, RC: ran.Code, Stdout: text(ran.Stdout), Stderr: text(ran.Stderr)}
	seen := map[string]any{
		"rc":  int64(ran.Code),
		"out": strings.TrimSuffix(done.Stdout, "\n"),
		"err": strings.TrimSuffix(done.Stderr, "\n"),
	}
	if m.Save != "" {
		h.Set(string(m.Save), seen)
	}
	if err := m.failure(h, done, seen); err != nil {
		return engine.Result{Command: &done, Data: seen}, err
	}
	changed := true
	if m.ChangedWhen.Text != "" {
		if changed, err = h.Eval(m.ChangedWhen, seen); err != nil {
			return engine.Result{Command: &done, Data: seen}, fmt.Errorf("evaluating changed_when: %w", err)
		}
	}
	return engine.Result{Passive: !changed, Command: &done, Data: seen}, nil
}

// failure returns the error that the command amounts to, if it does.
func (m *shell) failure(h *engine.Host, done engine.CommandResult, seen map[string]any) error {
	if m.FailedWhen.Text == "" {
		if done.RC != 0 {
			return &engine.CommandError{CommandResult: done}
		}
		return nil
	}
	failed, err := h.Eval(m.FailedWhen, seen)
	if err != nil {
		return fmt.Errorf("evaluating failed_when: %w", err)
	}
	if failed {
		return &engine.CommandError{CommandResult: done, Why: "failed_when holds: " + m.FailedWhen.Text}
	}
	return nil
}

// text makes a command's output fit for variables and events, which are UTF-8.
func text(b []byte) string { return strings.ToValidUTF8(string(b), "\uFFFD") }
