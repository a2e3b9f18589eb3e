package modules

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
)

// cleanupTime is how long taking away what is temporary may last once the run
// was stopped.
const cleanupTime = 10 * time.Second

// move is the move module. It ensures that a file, a directory or a symbolic link of
// the host is at another path of the host. Within a file system it is renamed, in one
// step; to another one it is copied with times, owners and modes, and taken away once
// the copy is complete.
//
// The result holds backup, the path of what was kept, if something was.
type move struct {
	// Src is the absolute path of the file, directory or symbolic link to move.
	// When it does not exist, but dest does, it was moved already.
	Src hostPath `yaml:"src,required"`
	// Dest is the absolute path it gets: the path itself, not a directory to
	// move it into. The directory above must exist.
	Dest hostPath `yaml:"dest,required"`
	// Backup keeps what is at dest beside it, with the time in its name. The
	// backup's path is the member backup of the result.
	Backup bool `yaml:"backup"`
	// Force replaces what is at dest, with all that is in it.
	Force bool `yaml:"force"`
	// Mode is the permission bits of dest, such as 0o644. A symbolic link has none: its
	// owner and group alone are set.
	Mode engine.Mode `yaml:"mode"`
	// Owner is the user that owns dest, by name or number.
	Owner string `yaml:"owner"`
	// Group is the group of dest, by name or number.
	Group string `yaml:"group"`
	// Attributes are owner, group and mode of dest, instead of the three before.
	// Of a directory they are its own, not those of what is in it.
	Attributes attributes `yaml:"attributes"`

	src, dest *conn.FileInfo // nil when nothing is there
}

// Validate checks that the move is possible at all.
func (m *move) Validate() error {
	src, dest := path.Clean(string(m.Src)), path.Clean(string(m.Dest))
	switch {
	case src == dest:
		return errors.New("src and dest are the same")
	case src == "/" || dest == "/":
		return errors.New("/ cannot be moved, nor replaced")
	case strings.HasPrefix(dest, src+"/"):
		return errors.New("dest is below src: a directory cannot be moved into itself")
	case strings.HasPrefix(src, dest+"/") && (m.Force || m.Backup):
		return errors.New("src is below dest, which would be taken away with it")
	}
	var err error
	m.Attributes, err = m.Attributes.with(m.Owner, m.Group, m.Mode)
	return err
}

// Preview reads ahead what Query reads.
func (m *move) Preview(ctx context.Context, h *engine.Host) { _, _ = m.Query(ctx, h) }

func (m *move) Query(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	var err error
	if m.src, err = lstat(ctx, h.Conn, string(m.Src)); err != nil {
		return engine.Plan{}, err
	}
	if m.dest, err = lstat(ctx, h.Conn, string(m.Dest)); err != nil {
		return engine.Plan{}, err
	}
	switch {
	case m.src == nil && m.dest == nil:
		return engine.Plan{}, fmt.Errorf("moving %s to %s: neither of them exists", m.Src, m.Dest)
	case m.src == nil:
		if fields := m.ofType(*m.dest).diff(*m.dest); len(fields) > 0 {
			return engine.Plan{Need: engine.Modify, Fields: fields}, nil
		}
		return engine.Plan{Need: engine.Matched}, nil
	case m.dest == nil:
		return engine.Plan{Need: engine.Create}, nil
	case m.Force || m.Backup:
		return engine.Plan{Need: engine.Modify, Fields: []string{fieldContent}}, nil
	}
	return engine.Plan{}, fmt.Errorf("moving %s: %s exists already; "+
		"give backup: true to keep it under another name, or force: true to replace it", m.Src, m.Dest)
}

func (m *move) Apply(ctx context.Context, h *engine.Host, p engine.Plan) (engine.Result, error) {
	res := engine.Result{}
	if p.Need == engine.Create || p.Fields[0] == fieldContent {
		var err error
		if res.Data, err = m.replace(ctx, h.Conn); err != nil {
			return res, err
		}
	}
	moved := m.src
	if moved == nil {
		moved = m.dest
	}
	a := m.ofType(*moved)
	if !a.given() {
		return res, nil
	}
	attr := a.attr()
	attr.NoFollow = true
	return res, h.Conn.SetAttr(ctx, string(m.Dest), attr)
}

// ofType returns the attributes that a file can have: a link's mode is that of the
// file it names, which is not moved.
func (m *move) ofType(f conn.FileInfo) attributes {
	a := m.Attributes
	if f.Mode.Type() == fs.ModeSymlink {
		a.Mode = engine.Mode{}
	}
	return a
}

// replace makes room at dest and moves src there. A file takes the place of a
// file in one step.
func (m *move) replace(ctx context.Context, c conn.Conn) (map[string]any, error) {
	from, to := string(m.Src), string(m.Dest)
	if m.dest == nil || !m.Backup && !m.src.Mode.IsDir() && !m.dest.Mode.IsDir() {
		err := relocate(ctx, c, from, to)
		if err == nil && m.dest != nil && *m.src == *m.dest {
			err = unlinkTwin(ctx, c, from)
		}
		return nil, err
	}
	old, err := m.aside(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := relocate(ctx, c, from, to); err != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
		defer cancel()
		if uerr := c.Rename(ctx, old, to); uerr != nil {
			err = fmt.Errorf("%w (and what was at %s is now at %s: %w)", err, to, old, uerr)
		}
		return nil, err
	}
	if !m.Backup {
		return nil, c.RemoveAll(ctx, old)
	}
	return map[string]any{"backup": old}, nil
}

// unlinkTwin takes away what is still there after it was renamed: two hard links
// to one file stay as they are when one is renamed to the other.
func unlinkTwin(ctx context.Context, c conn.Conn, from string) error {
	left, err := lstat(ctx, c, from)
	if err != nil || left == nil {
		return err
	}
	return c.Remove(ctx, from)
}

// aside renames what is at dest, to a backup or out of the way.
func (m *move) aside(ctx context.Context, c conn.Conn) (string, error) {
	old := beside(string(m.Dest))
	if m.Backup {
		var err error
		if old, err = backupPath(ctx, c, string(m.Dest), time.Now()); err != nil {
			return "", err
		}
	}
	return old, c.Rename(ctx, string(m.Dest), old)
}

// relocate moves from to to, where nothing is. Across file systems it is copied
// first, with all that the host's cp knows of, and taken away once the copy is
// complete.
func relocate(ctx context.Context, c conn.Conn, from, to string) error {
	err := c.Rename(ctx, from, to)
	if err == nil || errors.Is(err, conn.ErrUnreachable) || errors.Is(err, fs.ErrPermission) || ctx.Err() != nil {
		return err
	}
	if _, serr := c.Stat(ctx, path.Dir(to)); errors.Is(serr, fs.ErrNotExist) {
		return fmt.Errorf("moving to %s: the directory %s does not exist; make it first with the directory module", to, path.Dir(to))
	}
	tmp := beside(to)
	cerr := copyTree(ctx, c, from, tmp)
	if cerr == nil {
		cerr = c.Rename(ctx, tmp, to)
	}
	if cerr != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
		defer cancel()
		_ = c.RemoveAll(ctx, tmp)
		return fmt.Errorf("%w; and copying it instead: %w", err, cerr)
	}
	return c.RemoveAll(ctx, from)
}

// copyTree copies a file or a tree with times, owners and modes, down to the
// disk.
func copyTree(ctx context.Context, c conn.Conn, from, to string) error {
	for _, argv := range [][]string{{"cp", "-a", "--", from, to}, {"sync"}} {
		out, err := c.Run(ctx, conn.Cmd{Argv: argv})
		if err != nil {
			return err
		}
		if out.Code != 0 {
			return &engine.CommandError{CommandResult: commandResult(strings.Join(argv, " "), out)}
		}
	}
	return nil
}

// beside returns a hidden name in the same directory that nobody else picks.
func beside(name string) string {
	dir, base := path.Split(name)
	return dir + "." + base[:min(len(base), 200)] + ".jet-" + strings.ToLower(rand.Text()[:16])
}

// lstat describes what is at a path, nil when nothing is.
func lstat(ctx context.Context, c conn.Conn, name string) (*conn.FileInfo, error) {
	info, err := c.Lstat(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // there is nothing, and that is no error
	}
	return &info, err
}
