package modules

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/jet-bus/jet-bus/engine"
)

// file is the file module. It makes an empty file, sets owner, group and mode, or
// removes a file. It never changes what a file holds: copy, template and line do.
type file struct {
	// Path is the absolute path of the file. When it does not exist, an empty
	// file is made. A symbolic link is followed to the file it names, except
	// that remove removes the link.
	Path filePath `yaml:"path,required"`
	// Remove ensures that the file does not exist.
	Remove bool `yaml:"remove"`
	// Attributes are the file's owner, group and mode. Those that are not given
	// are kept, or are the user's and 0o644 when the file is new.
	Attributes attributes `yaml:"attributes"`
}

// Validate checks that a file to be removed is not described.
func (m *file) Validate() error {
	if m.Remove && m.Attributes.given() {
		return errors.New("remove and attributes exclude each other")
	}
	return nil
}

// Preview reads ahead what Query reads.
func (m *file) Preview(ctx context.Context, h *engine.Host) { _, _ = m.Query(ctx, h) }

func (m *file) Query(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	look := h.Conn.Stat
	if m.Remove {
		look = h.Conn.Lstat
	}
	info, err := look(ctx, string(m.Path))
	switch {
	case errors.Is(err, fs.ErrNotExist) && m.Remove:
		return engine.Plan{Need: engine.Matched}, nil
	case errors.Is(err, fs.ErrNotExist):
		return engine.Plan{Need: engine.Create}, nil
	case err != nil:
		return engine.Plan{}, err
	case info.Mode.IsDir():
		return engine.Plan{}, fmt.Errorf("%s is a directory; use the directory module for it", m.Path)
	case m.Remove:
		return engine.Plan{Need: engine.Remove}, nil
	}
	if fields := m.Attributes.diff(info); len(fields) > 0 {
		return engine.Plan{Need: engine.Modify, Fields: fields}, nil
	}
	return engine.Plan{Need: engine.Matched}, nil
}

func (m *file) Apply(ctx context.Context, h *engine.Host, p engine.Plan) (engine.Result, error) {
	switch p.Need {
	case engine.Create:
		return engine.Result{}, writeFile(ctx, h.Conn, string(m.Path), strings.NewReader(""), m.Attributes)
	case engine.Remove:
		return engine.Result{}, h.Conn.Remove(ctx, string(m.Path))
	default:
		return engine.Result{}, h.Conn.SetAttr(ctx, string(m.Path), m.Attributes.attr())
	}
}
