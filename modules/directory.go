package modules

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
)

// directory is the directory module. It makes a directory and what is missing above
// it, or removes one.
type directory struct {
	// Path is the absolute path of the directory. Missing directories above it
	// are made as well, with mode 0o755.
	Path hostPath `yaml:"path,required"`
	// Remove ensures that the directory does not exist. It must be empty unless
	// recurse is true.
	Remove bool `yaml:"remove"`
	// Recurse makes remove take away what is in the directory too, and gives the
	// attributes to everything below it: files get the same mode as
	// directories, symbolic links are left alone.
	Recurse bool `yaml:"recurse"`
	// Attributes are the directory's owner, group and mode. Those that are not
	// given are kept, or are the user's and 0o755 when the directory is new.
	Attributes attributes `yaml:"attributes"`

	drift drift
}

// Validate refuses what would take the whole host along.
func (m *directory) Validate() error {
	if m.Remove && m.Attributes.given() {
		return errors.New("remove and attributes exclude each other")
	}
	if path.Clean(string(m.Path)) == "/" && (m.Remove || m.Recurse) {
		return errors.New("remove and recurse are refused for /")
	}
	return nil
}

// Preview reads ahead what Query reads, but not whole trees.
func (m *directory) Preview(ctx context.Context, h *engine.Host) {
	if !m.Recurse {
		_, _ = m.Query(ctx, h)
	}
}

func (m *directory) Query(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	if m.Remove {
		return m.queryRemove(ctx, h)
	}
	info, err := h.Conn.Stat(ctx, string(m.Path))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return engine.Plan{Need: engine.Create}, nil
	case err != nil:
		return engine.Plan{}, err
	case !info.Mode.IsDir():
		return engine.Plan{}, fmt.Errorf("%s exists and is not a directory", m.Path)
	}
	m.drift = drift{}
	if m.Recurse && m.Attributes.given() {
		if err := m.Attributes.walk(ctx, h.Conn, string(m.Path), &m.drift); err != nil {
			return engine.Plan{}, err
		}
	}
	m.drift.add(string(m.Path), m.Attributes.diff(info))
	if len(m.drift.paths) == 0 {
		return engine.Plan{Need: engine.Matched}, nil
	}
	return engine.Plan{Need: engine.Modify, Fields: m.drift.fields}, nil
}

func (m *directory) queryRemove(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	info, err := h.Conn.Lstat(ctx, string(m.Path))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return engine.Plan{Need: engine.Matched}, nil
	case err != nil:
		return engine.Plan{}, err
	case !info.Mode.IsDir():
		return engine.Plan{}, fmt.Errorf("%s is not a directory; use the file module to remove it", m.Path)
	case m.Recurse:
		return engine.Plan{Need: engine.Remove}, nil
	}
	names, err := h.Conn.ReadDir(ctx, string(m.Path))
	if err != nil {
		return engine.Plan{}, err
	}
	if len(names) > 0 {
		return engine.Plan{}, fmt.Errorf("removing %s: it is not empty (it holds %q); "+
			"give recurse: true to remove what is in it", m.Path, names[0])
	}
	return engine.Plan{Need: engine.Remove}, nil
}

func (m *directory) Apply(ctx context.Context, h *engine.Host, p engine.Plan) (engine.Result, error) {
	switch {
	case p.Need == engine.Create:
		return engine.Result{}, makeDir(ctx, h.Conn, string(m.Path), m.Attributes.attr())
	case p.Need == engine.Remove && m.Recurse:
		return engine.Result{}, h.Conn.RemoveAll(ctx, string(m.Path))
	case p.Need == engine.Remove:
		return engine.Result{}, h.Conn.Remove(ctx, string(m.Path))
	}
	for _, name := range m.drift.paths {
		if err := h.Conn.SetAttr(ctx, name, m.Attributes.attr()); err != nil {
			return engine.Result{}, err
		}
	}
	return engine.Result{}, nil
}

// makeDir makes a directory and those above it. Where something else is in the
// way, the error says what: hosts only speak of files that exist or do not.
func makeDir(ctx context.Context, c conn.Conn, name string, a conn.Attr) error {
	err := c.Mkdir(ctx, name, a)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) {
		if in := obstacle(ctx, c, name); in != nil {
			return fmt.Errorf("make directory %q: %w", name, in)
		}
	}
	if errors.Is(err, fs.ErrExist) {
		// Someone else made it meanwhile: another name of this host, say.
		return c.SetAttr(ctx, name, a)
	}
	return err
}

// obstacle returns what is at a path, or the nearest above it, and cannot be a
// directory of that name; nil if that is a directory.
func obstacle(ctx context.Context, c conn.Conn, name string) error {
	for p := path.Clean(name); p != "/"; p = path.Dir(p) {
		info, err := lstat(ctx, c, p)
		if err != nil || info == nil {
			continue // it is further up
		}
		if info.Mode.Type() == fs.ModeSymlink {
			behind, err := c.Stat(ctx, p)
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return fmt.Errorf("%s is a symbolic link to something that does not exist", p)
			case err == nil:
				info = &behind
			}
		}
		if !info.Mode.IsDir() {
			return fmt.Errorf("%s is not a directory", p)
		}
		return nil
	}
	return nil
}
