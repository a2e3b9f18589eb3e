package files

import (
	"context"
	"io"
	"io/fs"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// System is what one user of a host can do with files. [FS] stands before it: it
// checks paths, looks names up, and names the operation and the path in errors.
// So paths that arrive here are absolute and without NUL bytes, and may hold any
// other byte. Errors wrap [fs.ErrNotExist] (which a path through something that
// is no directory counts as), [fs.ErrExist], [fs.ErrPermission] and
// syscall.ELOOP where the host says so, and the context's cause when that ended.
// FileInfo values come without Owner and Group.
//
// The operations are coarse so that each costs as few exchanges as its transport
// can do with. A System is safe for concurrent use.
type System interface {
	// Stat describes a file; follow says whether a symbolic link at the path is
	// followed.
	Stat(ctx context.Context, path string, follow bool) (conn.FileInfo, error)
	// Inspect is [conn.Conn.Inspect]. It must not open what is no regular file:
	// opening a FIFO waits for a writer, and opening a device does things.
	Inspect(ctx context.Context, path string, l conn.Look) (conn.Inspection, error)
	ReadLink(ctx context.Context, path string) (string, error)
	// ReadDir returns the names in a directory, in any order.
	ReadDir(ctx context.Context, path string) ([]string, error)
	// Open opens a file for reading. The context covers the reads as well.
	Open(ctx context.Context, path string) (io.ReadCloser, error)

	// Write is [conn.Conn.WriteFile], symbolic links and all. Something else than
	// a regular file at the end of the links is an error that wraps fs.ErrExist.
	Write(ctx context.Context, path string, content io.Reader, a Attr) error
	// Copy is Write with the content of a file of the host. A source that is not
	// a regular file is an error that wraps fs.ErrInvalid.
	Copy(ctx context.Context, from, to string, a Attr) error
	// Mkdir makes one directory, with all its attributes or not at all, and open
	// to nobody who should not enter it from its first moment. The mode is always
	// given. Whatever is at the path already is an error that wraps fs.ErrExist,
	// and stays as it is. A missing parent is fs.ErrNotExist.
	Mkdir(ctx context.Context, path string, a Attr) error
	// SetAttr changes attributes and follows symbolic links, or not. A change of
	// owner or group leaves setuid and setgid bits as they were.
	SetAttr(ctx context.Context, path string, a Attr) error
	Symlink(ctx context.Context, target, path string) error
	// Rename replaces a file at the new path.
	Rename(ctx context.Context, from, to string) error
	// Remove removes a file, a symbolic link or an empty directory.
	Remove(ctx context.Context, path string) error
	// RemoveAll removes path, which is clean and not the root directory, and all
	// below it, following no links. One that does not exist is no error.
	RemoveAll(ctx context.Context, path string) error
}

// Attr is a [conn.Attr] whose names have been looked up.
type Attr struct {
	// Mode is the permission bits with setuid, setgid and sticky, and no others;
	// nil leaves them (or is 0644 for a new file).
	Mode *fs.FileMode
	// UID and GID are below zero to leave them (or to be those that the host
	// gives a new file).
	UID, GID int
	// NoFollow makes SetAttr change the owner and group of a symbolic link at the
	// path, and leave the mode of whatever it leads to alone.
	NoFollow bool
}

// Over fills what a leaves open for a file that replaces one with the attributes
// of old, or, where old is nil, a new file.
func (a Attr) Over(old *conn.FileInfo) Attr {
	mode := fs.FileMode(0o644)
	if old != nil {
		mode = Permissions(old.Mode)
		if a.UID < 0 {
			a.UID = old.UID
		}
		if a.GID < 0 {
			a.GID = old.GID
		}
	}
	if a.Mode == nil {
		a.Mode = &mode
	}
	return a
}

// Permissions drops the type bits.
func Permissions(m fs.FileMode) fs.FileMode {
	return m & (fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky)
}
