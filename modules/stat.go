package modules

import (
	"context"
	"errors"
	"io/fs"

	"github.com/jet-bus/jet-bus/engine"
)

// stat is the stat module.
type stat struct {
	// Path is the absolute path to look at. Symbolic links are followed.
	Path hostPath `yaml:"path,required"`
	// Save is the variable that gets a mapping of exists and is_dir (true or
	// false), mode (such as "0o644"), owner, group and size (in bytes). When
	// nothing exists at the path, all but the first two are null.
	Save varName `yaml:"save,required"`
}

func (m *stat) Query(context.Context, *engine.Host) (engine.Plan, error) {
	return engine.Plan{Need: engine.Passive}, nil
}

func (m *stat) Apply(ctx context.Context, h *engine.Host, _ engine.Plan) (engine.Result, error) {
	saved := map[string]any{
		"exists": false, "is_dir": false,
		"mode": nil, "owner": nil, "group": nil, "size": nil,
	}
	info, err := h.Conn.Stat(ctx, string(m.Path))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return engine.Result{}, err
	default:
		saved["exists"] = true
		saved["is_dir"] = info.Mode.IsDir()
		saved["mode"] = engine.FormatMode(info.Mode)
		saved["owner"] = info.Owner
		saved["group"] = info.Group
		saved["size"] = info.Size
	}
	h.Set(string(m.Save), saved)
	return engine.Result{}, nil
}
