package modules

import (
	"context"
	"errors"
	"io/fs"

	"github.com/jet-bus/jet-bus/engine"
)

// stat is the stat module. It only looks, in check mode too.
//
// The result holds the same members as save.
type stat struct {
	// Path is the absolute path to look at. Symbolic links are followed.
	Path hostPath `yaml:"path,required"`
	// Save is the variable that gets a mapping of exists and is_dir (true or
	// false), mode (such as "0o644"), owner, group and size (in bytes). When
	// nothing exists at the path, all but the first two are null.
	Save varName `yaml:"save,required"`

	found map[string]any
}

// Preview reads ahead what Query reads.
func (m *stat) Preview(ctx context.Context, h *engine.Host) { _, _ = m.Query(ctx, h) }

func (m *stat) Query(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	m.found = map[string]any{
		"exists": false, "is_dir": false,
		"mode": nil, "owner": nil, "group": nil, "size": nil,
	}
	info, err := h.Conn.Stat(ctx, string(m.Path))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return engine.Plan{}, err
	default:
		m.found["exists"] = true
		m.found["is_dir"] = info.Mode.IsDir()
		m.found["mode"] = engine.FormatMode(info.Mode)
		m.found["owner"] = info.Owner
		m.found["group"] = info.Group
		m.found["size"] = info.Size
	}
	return engine.Plan{Need: engine.Passive}, nil
}

func (m *stat) Apply(_ context.Context, h *engine.Host, _ engine.Plan) (engine.Result, error) {
	h.Set(string(m.Save), m.found)
	return engine.Result{Data: m.found}, nil
}
