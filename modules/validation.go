package modules

import (
	"context"
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// validation is a command line for the host's shell that tells by its exit status
// whether a file is fit for use; empty when none is asked for. %s stands for the
// file.
type validation string

// UnmarshalNode takes a scalar that is a command line with %s in it.
func (v *validation) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode || !strings.Contains(n.Value, "%s") || strings.ContainsRune(n.Value, 0) {
		return f.Errorf(n, "must be a command line with %%s where the new file's path belongs, such as visudo -cf %%s")
	}
	*v = validation(n.Value)
	return nil
}

// check runs the command line for a file. The path is an argument of the shell and
// no part of what it parses, so that no name can run anything.
func (v validation) check(ctx context.Context, c conn.Conn, name string) error {
	script := strings.ReplaceAll(string(v), "%s", `"$1"`)
	out, err := c.Run(ctx, conn.Cmd{Argv: []string{"/bin/sh", "-c", script, "sh", name}, MaxOutput: maxOutput})
	if err != nil {
		return fmt.Errorf("validating the new content: %w", err)
	}
	if out.Code == 0 {
		return nil
	}
	failed := commandResult(strings.ReplaceAll(string(v), "%s", name), out)
	return fmt.Errorf("the new content is not valid, and the file was left as it was: %w",
		&engine.CommandError{CommandResult: failed, Why: whyInvalid(failed)})
}

// whyInvalid shows what a command printed on its standard output where that is all
// it printed: many tools name their faults there.
func whyInvalid(r engine.CommandResult) string {
	why := fmt.Sprintf("exit status %d", r.RC)
	if said := strings.TrimSpace(r.Stdout); said != "" && strings.TrimSpace(r.Stderr) == "" {
		why += ": " + said
	}
	return why
}
