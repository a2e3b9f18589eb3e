package modules

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
)

const (
	// rebootTime is how long a host may take to come back when nothing else is said.
	rebootTime = 10 * time.Minute
	// firstRest and longestRest are the least and the most that lies between two
	// looks for the host.
	firstRest, longestRest = time.Second, 5 * time.Second
)

// reboot is the reboot module. It starts the host anew, waits until it has gone
// and can be reached again, and fails when that takes too long. That the host was
// started anew is told by the number of its boot, or by when its first process
// began, which holds for containers too. It always is a change.
//
// The result holds elapsed, the seconds that it took (a number).
type reboot struct {
	// Msg is shown to those who are logged in, before anything else. Nothing is
	// shown unless it is given.
	Msg *string `yaml:"msg"`
	// Delay is the time that is left to them before the host goes down: none when it
	// is not given.
	Delay time.Duration `yaml:"delay"`
	// Timeout is how long the host may take to come back, from when it is told to
	// go: 10m when it is not given.
	Timeout *time.Duration `yaml:"timeout"`
	// Command is the command line, for the host's /bin/sh, that starts the host anew.
	// When it is not given, that is systemctl reboot, or shutdown or reboot where
	// there is no systemd.
	Command *string `yaml:"command"`
	// TestCommand is a command line, for the host's /bin/sh, that is repeated once
	// the host is back until it succeeds. Without it, it is enough that the host
	// takes logins.
	TestCommand *string `yaml:"test_command"`
}

// Validate checks the parameters by themselves.
func (m *reboot) Validate() error {
	for name, s := range map[string]*string{"command": m.Command, "test_command": m.TestCommand, "msg": m.Msg} {
		if s != nil && strings.TrimSpace(*s) == "" {
			return fmt.Errorf("%s is empty", name)
		}
	}
	if m.Timeout != nil && *m.Timeout <= 0 {
		return errors.New("timeout must be more than nothing")
	}
	return nil
}

func (m *reboot) Query(context.Context, *engine.Host) (engine.Plan, error) {
	return engine.Plan{Need: engine.Execute}, nil
}

func (m *reboot) Apply(ctx context.Context, h *engine.Host, _ engine.Plan) (engine.Result, error) {
	before, err := readBoot(ctx, h.Conn)
	if err != nil {
		return engine.Result{}, err
	}
	if err := m.warn(ctx, h.Conn); err != nil {
		return engine.Result{}, err
	}
	timeout := rebootTime
	if m.Timeout != nil {
		timeout = *m.Timeout
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	started := time.Now()
	if err := m.start(limited, h.Conn); err != nil {
		return engine.Result{}, err
	}
	why := m.await(limited, h, before)
	switch {
	case ctx.Err() != nil:
		return engine.Result{}, context.Cause(ctx)
	case why != nil:
		// Not an error of a lost connection: that the host went is as asked.
		return engine.Result{}, fmt.Errorf("the host was told to reboot and was not back within %s: %s", timeout, why.Error())
	}
	return engine.Result{Data: map[string]any{"elapsed": time.Since(started).Round(time.Millisecond).Seconds()}}, nil
}

// warn tells the users of the host what is to come, and gives them time.
func (m *reboot) warn(ctx context.Context, c conn.Conn) error {
	if m.Msg != nil {
		// Where nobody can be told, nobody is there to be told.
		if _, err := c.Run(ctx, conn.Cmd{Argv: []string{"wall"}, Stdin: strings.NewReader(*m.Msg + "\n")}); err != nil {
			return fmt.Errorf("telling the users of the host: %w", err)
		}
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(m.Delay):
		return nil
	}
}

// start tells the host to start anew. The connection may be lost over that before
// the command has ended.
func (m *reboot) start(ctx context.Context, c conn.Conn) error {
	cmds := []conn.Cmd{
		{Argv: []string{"systemctl", "reboot"}}, {Argv: []string{"shutdown", "-r", "now"}}, {Argv: []string{"reboot"}},
	}
	if m.Command != nil {
		cmds = []conn.Cmd{{Shell: *m.Command}}
	}
	var faults []error
	for _, cmd := range cmds {
		limited, cancel := context.WithTimeout(ctx, lookTime)
		out, err := c.Run(limited, cmd)
		cancel()
		switch {
		case errors.Is(err, conn.ErrBecome), ctx.Err() != nil:
			return fmt.Errorf("telling the host to reboot: %w", err)
		case err != nil, out.Code == 0, out.Code > 128:
			return nil //nolint:nilerr // it is on its way, or has taken the command with it
		}
		if m.Command != nil {
			return toolError([]string{"the command"}, out)
		}
		faults = append(faults, toolError(cmd.Argv, out))
	}
	return fmt.Errorf("telling the host to reboot: %w", errors.Join(faults...))
}

// await returns when the host is back; its error says why it is not.
func (m *reboot) await(ctx context.Context, h *engine.Host, before boot) error {
	last := errors.New("it has not gone down")
	for rest := firstRest; ; rest = min(rest*3/2, longestRest) {
		select {
		case <-ctx.Done():
			return last
		case <-time.After(rest):
		}
		err := m.back(ctx, h, before)
		if err == nil {
			return nil
		}
		if errors.Is(err, conn.ErrHostKey) {
			return err
		}
		if ctx.Err() == nil {
			last = err
		}
	}
}

// back fails unless the host was started anew and is ready.
func (m *reboot) back(ctx context.Context, h *engine.Host, before boot) error {
	ctx, cancel := context.WithTimeoutCause(ctx, lookTime, errors.New("there is no answer"))
	defer cancel()
	now, err := readBoot(ctx, h.Conn)
	if err != nil {
		// The connection of before is lost, or hangs.
		if err := h.Reconnect(ctx); err != nil {
			return err
		}
		if now, err = readBoot(ctx, h.Conn); err != nil {
			return err
		}
	}
	if !now.follows(before) {
		return errors.New("it has not gone down")
	}
	if m.TestCommand == nil {
		return nil
	}
	out, err := h.Conn.Run(ctx, conn.Cmd{Shell: *m.TestCommand})
	if err == nil && out.Code != 0 {
		err = toolError([]string{"test_command"}, out)
	}
	return err
}
