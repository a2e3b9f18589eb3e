package engine

import (
	"context"
	"errors"
	"maps"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/template"
	"github.com/jet-bus/jet-bus/internal/lazyregexp"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// environ holds variables for the environment of a task's commands, in the order
// they are written.
type environ []setting

type setting struct {
	name  string
	value *template.Template
}

var environName = lazyregexp.New(`^[A-Za-z_][A-Za-z0-9_]*$`)

// UnmarshalNode takes a mapping of names to texts, which may be templates, or
// null.
func (e *environ) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	if n.ShortTag() == "!!null" {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		return f.Errorf(n, "environment must be a mapping of names to texts")
	}
	var errs []error
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		for v.Kind == yaml.AliasNode {
			v = v.Alias
		}
		if !environName().MatchString(k.Value) {
			errs = append(errs, f.Errorf(k, "%q cannot be the name of an environment variable", k.Value))
		}
		if v.Kind != yaml.ScalarNode || v.ShortTag() == "!!null" {
			errs = append(errs, f.Errorf(v, "environment: %s must be text", k.Value))
			continue
		}
		tmpl, err := template.Parse(f.TextPos(v), v.Value)
		errs = append(errs, err)
		*e = append(*e, setting{name: k.Value, value: tmpl})
	}
	return errors.Join(errs...)
}

// render returns the environment's values; nil if there are none.
func (e environ) render(vars map[string]any) (map[string]string, error) {
	if len(e) == 0 {
		return nil, nil
	}
	env := make(map[string]string, len(e))
	var errs []error
	for _, s := range e {
		v, err := s.value.Render(vars)
		errs = append(errs, err)
		env[s.name] = v
	}
	return env, errors.Join(errs...)
}

// environConn is a connection whose commands have an environment.
type environConn struct {
	conn.Conn
	env map[string]string
}

// withEnviron returns c itself when there is nothing to add.
func withEnviron(c conn.Conn, env map[string]string) conn.Conn {
	if len(env) == 0 {
		return c
	}
	return environConn{Conn: c, env: env}
}

func (c environConn) As(ctx context.Context, b conn.Become) (conn.Conn, error) {
	other, err := c.Conn.As(ctx, b)
	if err != nil {
		return nil, err
	}
	return environConn{Conn: other, env: c.env}, nil
}

// Run adds the environment to the command's; what the command asks for itself
// wins.
func (c environConn) Run(ctx context.Context, cmd conn.Cmd) (conn.Output, error) {
	env := maps.Clone(c.env)
	maps.Copy(env, cmd.Env)
	cmd.Env = env
	return c.Conn.Run(ctx, cmd)
}
