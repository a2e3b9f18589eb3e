package modules

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
)

// fieldTarget names what differs when a path leads elsewhere, or is no link yet.
const fieldTarget = "Target"

// maxTarget is how long the target of a symbolic link may be, in bytes.
const maxTarget = 4095

// symlink is the symlink module. It ensures that a path is a symbolic link to a
// target, or is no symbolic link. A link to another target is replaced in one step,
// so that the path leads somewhere at any time.
type symlink struct {
	// Path is the absolute path of the link. Its directory must exist.
	Path filePath `yaml:"path,required"`
	// Target is what the link leads to, as it is written: a relative target is
	// relative to the link's directory. It need not exist. It is needed unless
	// remove is given.
	Target string `yaml:"target"`
	// Force replaces a regular file or an empty directory at path by the link.
	// Otherwise that is a failure; anything else is one in any case.
	Force bool `yaml:"force"`
	// Remove ensures that there is no symbolic link at path. What it leads to
	// stays; what is no symbolic link is a failure.
	Remove bool `yaml:"remove"`
	// Owner is the user that owns the link itself, by name or number. It is left
	// as it is when it is not given, or is the task's user when the link is new.
	Owner string `yaml:"owner"`
	// Group is the group of the link itself, by name or number.
	Group string `yaml:"group"`

	had *conn.FileInfo // nil when nothing is there
}

// Validate checks what does not go together.
func (m *symlink) Validate() error {
	switch {
	case m.Remove && (m.Target != "" || m.Force || m.attributes().given()):
		return errors.New("remove excludes target, force, owner and group")
	case !m.Remove && m.Target == "":
		return errors.New("target is missing")
	case m.Target == string(m.Path):
		return errors.New("path and target are the same: the link would lead nowhere")
	case strings.ContainsRune(m.Target, 0):
		return errors.New("target holds a NUL byte, which no path can")
	case len(m.Target) > maxTarget:
		return fmt.Errorf("target has %d bytes, which is more than the %d that a link can hold", len(m.Target), maxTarget)
	}
	return nil
}

// attributes are those of the link itself, which has no mode of its own.
func (m *symlink) attributes() attributes { return attributes{Owner: m.Owner, Group: m.Group} }

// Preview reads ahead what Query reads.
func (m *symlink) Preview(ctx context.Context, h *engine.Host) { _, _ = m.Query(ctx, h) }

func (m *symlink) Query(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	var err error
	if m.had, err = lstat(ctx, h.Conn, string(m.Path)); err != nil {
		return engine.Plan{}, err
	}
	switch {
	case m.had == nil && m.Remove:
		return engine.Plan{Need: engine.Matched}, nil
	case m.had == nil:
		return engine.Plan{Need: engine.Create}, nil
	case m.Remove && m.had.Mode.Type() != fs.ModeSymlink:
		return engine.Plan{}, fmt.Errorf("%s is not a symbolic link and is not removed", m.Path)
	case m.Remove:
		return engine.Plan{Need: engine.Remove}, nil
	case m.had.Mode.Type() != fs.ModeSymlink:
		if err := m.replaceable(ctx, h.Conn); err != nil {
			return engine.Plan{}, err
		}
		return engine.Plan{Need: engine.Modify, Fields: []string{fieldTarget}}, nil
	}
	target, err := h.Conn.ReadLink(ctx, string(m.Path))
	if err != nil {
		return engine.Plan{}, err
	}
	var fields []string
	if target != m.Target {
		fields = append(fields, fieldTarget)
	}
	if fields = append(fields, m.attributes().diff(*m.had)...); len(fields) == 0 {
		return engine.Plan{Need: engine.Matched}, nil
	}
	return engine.Plan{Need: engine.Modify, Fields: fields}, nil
}

// replaceable says why what is at the path, and is no link, must stay.
func (m *symlink) replaceable(ctx context.Context, c conn.Conn) error {
	kind := "a regular file"
	switch {
	case m.had.Mode.IsDir():
		kind = "a directory"
		names, err := c.ReadDir(ctx, string(m.Path))
		if err != nil {
			return err
		}
		if len(names) > 0 {
			return fmt.Errorf("%s is a directory that is not empty, and is not replaced by a link", m.Path)
		}
	case !m.had.Mode.IsRegular():
		return fmt.Errorf("%s is neither a file nor a directory nor a link, and is not replaced by one", m.Path)
	}
	if !m.Force {
		return fmt.Errorf("%s is %s; give force: true to replace it by a link", m.Path, kind)
	}
	return nil
}

func (m *symlink) Apply(ctx context.Context, h *engine.Host, p engine.Plan) (engine.Result, error) {
	name := string(m.Path)
	switch {
	case p.Need == engine.Remove:
		return engine.Result{}, h.Conn.Remove(ctx, name)
	case p.Need == engine.Modify && p.Fields[0] != fieldTarget:
		return engine.Result{}, m.own(ctx, h.Conn, name)
	}
	return engine.Result{}, m.replace(ctx, h.Conn)
}

// own gives the link at name, and not what it leads to, its owner and group.
func (m *symlink) own(ctx context.Context, c conn.Conn, name string) error {
	a := m.attributes().attr()
	if m.had != nil && m.had.Mode.Type() == fs.ModeSymlink {
		a.Owner, a.Group = cmp.Or(a.Owner, strconv.Itoa(m.had.UID)), cmp.Or(a.Group, strconv.Itoa(m.had.GID))
	}
	if a == (conn.Attr{}) {
		return nil
	}
	a.NoFollow = true
	return c.SetAttr(ctx, name, a)
}

// replace makes the link beside the path and puts it there.
func (m *symlink) replace(ctx context.Context, c conn.Conn) error {
	name := string(m.Path)
	tmp := beside(name)
	if err := c.Symlink(ctx, m.Target, tmp); err != nil {
		return whyNotWritten(ctx, c, name, err)
	}
	err := m.own(ctx, c, tmp)
	if err != nil {
		err = fmt.Errorf("giving away the link %s: %w", name, err)
	}
	if err == nil && m.had != nil && m.had.Mode.IsDir() {
		err = c.Remove(ctx, name) // only an empty one goes
	}
	if err == nil {
		err = c.Rename(ctx, tmp, name)
	}
	if err == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	if rerr := c.Remove(ctx, tmp); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
		err = fmt.Errorf("%w (and the new link is still at %s: %w)", err, tmp, rerr)
	}
	return err
}
