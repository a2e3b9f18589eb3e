package modules

import (
	"context"
	"fmt"
	"strings"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
)

// ask runs a program of the host that changes nothing, and returns what it
// printed and how it ended. A program that is not there is an error.
func ask(ctx context.Context, c conn.Conn, argv ...string) (conn.Output, error) {
	out, err := c.Run(ctx, conn.Cmd{Argv: argv, ReadOnly: true})
	if err != nil {
		return conn.Output{}, fmt.Errorf("running %s: %w", argv[0], err)
	}
	if out.Code == 127 || out.Code == 126 {
		return conn.Output{}, toolError(argv, out)
	}
	return out, nil
}

// runTool runs a program of the host that changes nothing and must succeed, and
// returns what it printed.
func runTool(ctx context.Context, c conn.Conn, argv ...string) ([]byte, error) {
	out, err := ask(ctx, c, argv...)
	if err == nil && out.Code != 0 {
		err = toolError(argv, out)
	}
	return out.Stdout, err
}

// act runs a program of the host that changes something and must succeed.
func act(ctx context.Context, c conn.Conn, env map[string]string, argv ...string) error {
	out, err := c.Run(ctx, conn.Cmd{Argv: argv, Env: env})
	if err != nil {
		return fmt.Errorf("running %s: %w", argv[0], err)
	}
	if out.Code != 0 {
		return toolError(argv, out)
	}
	return nil
}

// toolError is the failure of a program that a module runs.
func toolError(argv []string, out conn.Output) error {
	why := ""
	if out.Code == 127 {
		why = "the host has no such program"
	}
	return fmt.Errorf("running %s: %w", argv[0], &engine.CommandError{Why: why, CommandResult: engine.CommandResult{
		Cmd: strings.Join(argv, " "), RC: out.Code, Stdout: text(out.Stdout), Stderr: text(out.Stderr),
	}})
}

// lines splits what a program printed.
func lines(b []byte) []string {
	s := strings.TrimRight(text(b), "\n")
	if s == "" {
		return nil
	}
	return strings.Split(s, "\n")
}
