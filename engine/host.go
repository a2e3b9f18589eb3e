package engine

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/template"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// Host is what a module sees of the host it works on, for one task and item.
type Host struct {
	// Name is the host's name in the inventory.
	Name string
	// Conn is connected as the user the task runs as, to the host that the task is
	// delegated to if it is. It is nil for modules that are [Offline].
	Conn conn.Conn
	// Vars are the variables in force, blended by precedence, with item. A
	// module must not change the map.
	Vars map[string]any
	// Check is true in check mode: only Query and passive modules run.
	Check bool
	// Diff is true when the plan shall hold the contents that differ.
	Diff bool
	// Environ is the environment that templates may see ([Options.ProcessEnv]).
	Environ map[string]string
	// Began is when the run began. What modules keep for all hosts of a run must
	// not be older.
	Began time.Time

	run *hostRun
}

// hostRun is the engine's side of a Host.
type hostRun struct {
	// dir is the role's folder, or the playbook's outside of roles.
	dir string
	// modules are the directories of modules that users wrote.
	modules []string
	sources *sources
	// state is nil until the plan is carried out, and so is x. line is nil for
	// modules that need no connection.
	state *hostState
	x     *execution
	line  *line
}

// SourcePath finds the local file that src names: an absolute path is taken as
// it is, a relative one is looked up in the folder dir ("files" or "templates")
// of the role, or of the playbook outside of roles. It must be a regular file.
func (h *Host) SourcePath(dir, src string) (string, error) {
	path, info, err := h.source(dir, src)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("finding source file %s: %s is not a regular file", src, path)
	}
	return path, err
}

// SourceTree is SourcePath for what may be a directory too, and tells which.
func (h *Host) SourceTree(dir, src string) (path string, isDir bool, err error) {
	path, info, err := h.source(dir, src)
	switch {
	case err != nil:
		return "", false, err
	case !info.IsDir() && (!info.Mode().IsRegular() || strings.HasSuffix(src, "/")):
		return "", false, fmt.Errorf("finding source %s: %s is neither a regular file nor a directory of that name", src, path)
	}
	return path, info.IsDir(), nil
}

func (h *Host) source(dir, src string) (string, os.FileInfo, error) {
	path := src
	if !filepath.IsAbs(src) {
		path = filepath.Join(h.run.dir, dir, src)
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", nil, fmt.Errorf("finding source file %s: %w", src, err)
	}
	return path, info, nil
}

// Modules finds the file of a module that users wrote: in the directories of
// [Options.ModulesPath], then in modules/ beside the playbook. An absolute name is
// taken as it is.
func (h *Host) Modules(name string) (string, error) {
	dirs := h.run.modules
	if filepath.IsAbs(name) {
		dirs = []string{""}
	} else if !filepath.IsLocal(name) {
		return "", fmt.Errorf("finding module %s: the name leads out of the directories of modules", name)
	}
	for _, dir := range dirs {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path, nil
		}
	}
	if filepath.IsAbs(name) {
		return "", fmt.Errorf("finding module %s: there is no such file", name)
	}
	return "", fmt.Errorf("finding module %s: it is not in %s", name, strings.Join(dirs, ", "))
}

// Render renders a template with the variables in force; extra wins over them
// and may be nil. name is the file it came from, for errors.
func (h *Host) Render(name, text string, extra map[string]any) (string, error) {
	t, err := template.Parse(strictyaml.Pos{File: name, Line: 1, Column: 1}, text)
	if err != nil {
		return "", err
	}
	return t.Render(h.vars(extra))
}

// Eval evaluates a condition with the variables in force; extra wins over them
// and may be nil.
func (h *Host) Eval(e Expr, extra map[string]any) (bool, error) {
	c, err := template.ParseCondition(e.Pos, e.Text)
	if err != nil {
		return false, err
	}
	return c.Eval(h.vars(extra))
}

func (h *Host) vars(extra map[string]any) map[string]any {
	if len(extra) == 0 {
		return h.Vars
	}
	vars := maps.Clone(h.Vars)
	if vars == nil {
		vars = make(map[string]any, len(extra))
	}
	maps.Copy(vars, extra)
	return vars
}

// Set stores a host variable (as set and save do), for this and later plays. It
// replaces what an earlier Set and the inventory say under that name. Tasks see
// it from the next one on. Set and SetFact are for Apply, as a query changes nothing,
// and may be called by one goroutine at a time.
func (h *Host) Set(name string, v any) { h.run.state.set(name, v) }

// SetFact stores a fact, for this and later plays. It replaces an earlier fact
// of that name.
func (h *Host) SetFact(name string, v any) { h.run.state.setFact(name, v) }

// Reconnect makes a connection anew, as the user of the task, and stores it in
// [Host.Conn]; the one before is not to be used any more. It is for Apply of modules
// that end connections by what they do, and is not for those that are [Offline].
func (h *Host) Reconnect(ctx context.Context) error { return h.run.line.again(ctx, h) }

// Expr is a condition kept for a module to evaluate with [Host.Eval], at the
// place it was written. An empty Text means that none was given.
type Expr struct {
	strictyaml.Pos
	Text string
}

// UnmarshalNode takes a scalar's source text.
func (e *Expr) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode || n.Value == "" {
		return f.Errorf(n, "must be a condition")
	}
	*e = Expr{Pos: f.TextPos(n), Text: n.Value}
	return nil
}
