package files

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/engine/conn"
)

const (
	// maxLinks is how many symbolic links are followed for one path.
	maxLinks = 40
	// cleanupTime is how long removing a temporary file may take once the
	// caller's context is over.
	cleanupTime = 5 * time.Second
	// maxName is the longest file name that all usual file systems take.
	maxName = 255
)

var errLinks = errors.New("too many symbolic links")

// WriteFile implements [conn.Conn].
func (f *FS) WriteFile(ctx context.Context, name string, content io.Reader, a conn.Attr) error {
	err := check(ctx, name)
	if err == nil {
		err = f.replace(ctx, name, a, func(tmp File) error { return tmp.Write(ctx, content) })
	}
	if err != nil {
		return fail("write", name, err)
	}
	return nil
}

// Copy implements [conn.Conn].
func (f *FS) Copy(ctx context.Context, from, to string, a conn.Attr) error {
	if err := f.copy(ctx, from, to, a); err != nil {
		return fail("copy", from, fmt.Errorf("to %q: %w", to, err))
	}
	return nil
}

func (f *FS) copy(ctx context.Context, from, to string, a conn.Attr) error {
	if err := check(ctx, from, to); err != nil {
		return err
	}
	fi, err := f.sys.Stat(ctx, from)
	if err != nil {
		return err
	}
	if !fi.Mode.IsRegular() {
		return fmt.Errorf("the source is not a regular file: %w", fs.ErrInvalid)
	}
	return f.replace(ctx, to, a, func(tmp File) error { return f.sys.Fill(ctx, tmp, from) })
}

// replace puts a new file, whose content fill writes, in the place of name.
func (f *FS) replace(ctx context.Context, name string, a conn.Attr, fill func(File) error) (err error) {
	target, old, err := f.follow(ctx, name)
	if err != nil {
		return err
	}
	want, err := f.wanted(ctx, old, a)
	if err != nil {
		return err
	}
	tmp, err := f.sys.Create(ctx, temporary(target))
	if err != nil {
		return fmt.Errorf("create a temporary file beside it: %w", err)
	}
	defer func() {
		if err == nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
		defer cancel()
		if rerr := f.sys.Remove(ctx, tmp.Path()); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
			err = fmt.Errorf("%w (and the temporary file %q could not be removed: %w)", err, tmp.Path(), rerr)
		}
	}()
	if err := finish(ctx, tmp, want, fill); err != nil {
		return err
	}
	return f.sys.Rename(ctx, tmp.Path(), target)
}

// finish writes and closes a temporary file.
func finish(ctx context.Context, tmp File, want attributes, fill func(File) error) error {
	err := fill(tmp)
	if err == nil {
		err = want.apply(ctx, tmp)
	}
	if err == nil {
		err = tmp.Sync(ctx)
	}
	if err == nil {
		return tmp.Close(ctx)
	}
	// The caller's context may be what ended the write.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	_ = tmp.Close(ctx)
	return err
}

// follow finds the path that a write to name ends at, and what is there now. A
// link to a file that is not there yet ends at that file.
func (f *FS) follow(ctx context.Context, name string) (string, *conn.FileInfo, error) {
	for range maxLinks {
		fi, err := f.sys.Lstat(ctx, name)
		if errors.Is(err, fs.ErrNotExist) {
			return name, nil, nil
		}
		if err != nil {
			return "", nil, err
		}
		if fi.Mode.Type() != fs.ModeSymlink {
			if !fi.Mode.IsRegular() {
				return "", nil, fmt.Errorf("there is something else than a regular file: %w", fs.ErrExist)
			}
			return name, &fi, nil
		}
		link, err := f.sys.ReadLink(ctx, name)
		if err != nil {
			return "", nil, err
		}
		if !path.IsAbs(link) {
			// Not path.Join: what .. means is for the host to say.
			dir, _ := path.Split(name)
			link = dir + link
		}
		name = link
	}
	return "", nil, errLinks
}

// temporary returns a name beside target that nobody else picks.
func temporary(target string) string {
	dir, base := path.Split(target)
	random := strings.ToLower(rand.Text()[:16])
	affixes := len(".") + len(".jet-") + len(random)
	return dir + "." + base[:min(len(base), maxName-affixes)] + ".jet-" + random
}

// attributes are what a finished file shall have. Ids below zero mean the ones
// it was created with.
type attributes struct {
	mode     fs.FileMode
	uid, gid int
}

// wanted works out a file's attributes from those of the file it replaces, which
// is nil for a new one, and the caller's wishes.
func (f *FS) wanted(ctx context.Context, old *conn.FileInfo, a conn.Attr) (attributes, error) {
	want := attributes{mode: 0o644, uid: -1, gid: -1}
	if old != nil {
		want = attributes{mode: permissions(old.Mode), uid: old.UID, gid: old.GID}
	}
	if a.Mode != nil {
		want.mode = permissions(*a.Mode)
	}
	if a.Owner != "" {
		uid, err := f.names.UserID(ctx, a.Owner)
		if err != nil {
			return want, err
		}
		want.uid = uid
	}
	if a.Group != "" {
		gid, err := f.names.GroupID(ctx, a.Group)
		if err != nil {
			return want, err
		}
		want.gid = gid
	}
	return want, nil
}

// apply gives tmp its attributes: the owner first, since a change of owner takes
// the setuid bits away.
func (w attributes) apply(ctx context.Context, tmp File) error {
	if err := w.own(ctx, tmp); err != nil {
		return err
	}
	return tmp.Chmod(ctx, w.mode)
}

// own gives tmp its owner and group, as far as they are asked for.
func (w attributes) own(ctx context.Context, tmp File) error {
	if w.uid < 0 && w.gid < 0 {
		return nil
	}
	if w.uid < 0 || w.gid < 0 {
		fi, err := tmp.Stat(ctx)
		if err != nil {
			return err
		}
		if w.uid < 0 {
			w.uid = fi.UID
		} else {
			w.gid = fi.GID
		}
	}
	if err := tmp.Chown(ctx, w.uid, w.gid); err != nil {
		return fmt.Errorf("set owner %d and group %d: %w", w.uid, w.gid, err)
	}
	return nil
}

// permissions drops the type bits.
func permissions(m fs.FileMode) fs.FileMode {
	return m & (fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky)
}
