package files

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// SetAttr implements [conn.Conn].
func (f *FS) SetAttr(ctx context.Context, name string, a conn.Attr) error {
	err := check(ctx, name)
	if err == nil {
		err = f.setAttr(ctx, name, a)
	}
	if err != nil {
		return fail("set attributes of", name, err)
	}
	return nil
}

func (f *FS) setAttr(ctx context.Context, name string, a conn.Attr) error {
	if a.Owner != "" || a.Group != "" {
		fi, err := f.sys.Stat(ctx, name)
		if err != nil {
			return err
		}
		// The mode goes in here as well: a change of owner takes setuid bits
		// away that the caller did not ask to lose.
		want, err := f.wanted(ctx, &fi, a)
		if err != nil {
			return err
		}
		if want.uid != fi.UID || want.gid != fi.GID {
			if err := f.sys.Chown(ctx, name, want.uid, want.gid); err != nil {
				return fmt.Errorf("set owner %d and group %d: %w", want.uid, want.gid, err)
			}
			if fi.Mode&(fs.ModeSetuid|fs.ModeSetgid) != 0 && a.Mode == nil {
				return f.sys.Chmod(ctx, name, want.mode)
			}
		}
	}
	if a.Mode == nil {
		return nil
	}
	return f.sys.Chmod(ctx, name, permissions(*a.Mode))
}

// Mkdir implements [conn.Conn].
func (f *FS) Mkdir(ctx context.Context, name string, a conn.Attr) error {
	err := check(ctx, name)
	if err == nil {
		err = f.mkdir(ctx, path.Clean(name), a)
	}
	if err != nil {
		return fail("make directory", name, err)
	}
	return nil
}

// mkdir makes a directory with all its attributes or none at all: one that was
// left half done would count as the one asked for.
func (f *FS) mkdir(ctx context.Context, name string, a conn.Attr) error {
	want, err := f.wanted(ctx, nil, a)
	if err != nil {
		return err
	}
	// Names are looked up before anything is made.
	if want.uid >= 0 {
		a.Owner = strconv.Itoa(want.uid)
	}
	if want.gid >= 0 {
		a.Group = strconv.Itoa(want.gid)
	}
	made, err := f.makeAll(ctx, name, a)
	if err == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	for _, dir := range slices.Backward(made) {
		// One that someone else has put something into by now stays.
		_ = f.sys.Remove(ctx, dir)
	}
	return err
}

// makeAll makes a directory and the missing ones above it. It returns those it
// made, from the top.
func (f *FS) makeAll(ctx context.Context, name string, a conn.Attr) (made []string, err error) {
	if a.Mode == nil {
		mode := fs.FileMode(0o755)
		a.Mode = &mode
	}
	err = f.sys.Mkdir(ctx, name)
	if errors.Is(err, fs.ErrNotExist) && name != "/" {
		// Someone else may make the parent meanwhile: that is as good.
		made, err = f.makeAll(ctx, path.Dir(name), conn.Attr{})
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return made, err
		}
		err = f.sys.Mkdir(ctx, name)
	}
	if err != nil {
		return made, err
	}
	return append(made, name), f.setAttr(ctx, name, a)
}
