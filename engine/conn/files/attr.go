package files

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// resolve looks the names in a up.
func (f *FS) resolve(ctx context.Context, a conn.Attr) (Attr, error) {
	want := Attr{UID: -1, GID: -1, NoFollow: a.NoFollow}
	if a.Mode != nil {
		mode := Permissions(*a.Mode)
		want.Mode = &mode
	}
	var err error
	if a.Owner != "" {
		if want.UID, err = f.names.UserID(ctx, a.Owner); err != nil {
			return want, err
		}
	}
	if a.Group != "" {
		if want.GID, err = f.names.GroupID(ctx, a.Group); err != nil {
			return want, err
		}
	}
	return want, nil
}

// SetAttr implements [conn.Conn].
func (f *FS) SetAttr(ctx context.Context, name string, a conn.Attr) error {
	err := check(ctx, name)
	if err == nil {
		var want Attr
		if want, err = f.resolve(ctx, a); err == nil {
			err = f.sys.SetAttr(ctx, name, want)
		}
	}
	if err != nil {
		return fail("set attributes of", name, err)
	}
	return nil
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

// mkdir makes a directory with all above it or none at all.
func (f *FS) mkdir(ctx context.Context, name string, a conn.Attr) error {
	// Names are looked up before anything is made.
	want, err := f.resolve(ctx, a)
	if err != nil {
		return err
	}
	made, err := f.makeAll(ctx, name, want)
	if err == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), CleanupTime)
	defer cancel()
	for _, dir := range slices.Backward(made) {
		// One that someone else has put something into by now stays.
		_ = f.sys.Remove(ctx, dir)
	}
	return err
}

// makeAll makes a directory and the missing ones above it. It returns those it
// made, from the top.
func (f *FS) makeAll(ctx context.Context, name string, a Attr) (made []string, err error) {
	if a.Mode == nil {
		mode := fs.FileMode(0o755)
		a.Mode = &mode
	}
	err = f.sys.Mkdir(ctx, name, a)
	if errors.Is(err, fs.ErrNotExist) && name != "/" {
		// Someone else may make the parent meanwhile: that is as good.
		made, err = f.makeAll(ctx, path.Dir(name), Attr{UID: -1, GID: -1})
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return made, err
		}
		err = f.sys.Mkdir(ctx, name, a)
	}
	if err != nil {
		return made, err
	}
	return append(made, name), nil
}
