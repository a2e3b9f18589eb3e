package modules

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
)

// TestDirectoryRefusesRoot asks Validate alone: a run would be the wrong place to
// find out that it lets the root directory pass.
func TestDirectoryRefusesRoot(t *testing.T) {
	t.Parallel()
	for _, path := range []hostPath{"/", "//", "/.", "/srv/..", "//..", "/srv/../.."} {
		if err := (&directory{Path: path, Remove: true, Recurse: true}).Validate(); err == nil {
			t.Errorf("remove of %s is accepted", path)
		}
		if err := (&directory{Path: path, Recurse: true, Attributes: attributes{Owner: "root"}}).Validate(); err == nil {
			t.Errorf("recurse in %s is accepted", path)
		}
	}
	for _, m := range []directory{{Path: "/"}, {Path: "/srv", Remove: true, Recurse: true}, {Path: "/srv/../srv", Recurse: true}} {
		if err := m.Validate(); err != nil {
			t.Errorf("%s: %v", m.Path, err)
		}
	}
}

// vague is a host that knows no better of what is in the way than that
// something does not exist, as over SFTP.
type vague struct{ conn.Conn }

func (v vague) blur(err error) error {
	if errors.Is(err, syscall.ENOTDIR) {
		return fs.ErrNotExist
	}
	return err
}

func (v vague) Stat(ctx context.Context, name string) (conn.FileInfo, error) {
	info, err := v.Conn.Stat(ctx, name)
	return info, v.blur(err)
}

func (v vague) Lstat(ctx context.Context, name string) (conn.FileInfo, error) {
	info, err := v.Conn.Lstat(ctx, name)
	return info, v.blur(err)
}

func (v vague) Mkdir(ctx context.Context, name string, a conn.Attr) error {
	return v.blur(v.Conn.Mkdir(ctx, name, a))
}

func (v vague) ReadDir(ctx context.Context, name string) ([]string, error) {
	names, err := v.Conn.ReadDir(ctx, name)
	return names, v.blur(err)
}

func TestFileInTheWay(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, "x")
	h := &engine.Host{Conn: vague{here(t)}}
	for name, m := range map[string]engine.Module{
		"directory":          &directory{Path: hostPath(file + "/sub/dir")},
		"directory and dots": &directory{Path: hostPath(file + "/./dir")},
		"git":                &gitModule{Repo: "/none", Path: hostPath(file)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := enact(t, m, h)
			if err == nil || !strings.Contains(err.Error(), file+" ") || !strings.HasSuffix(err.Error(), "not a directory") {
				t.Errorf("got %v, want that %s is not a directory", err, file)
			}
		})
	}
	x := extraction{conn: h.Conn, dest: file}
	if err := x.makeDirs(t.Context()); err == nil || !strings.HasSuffix(err.Error(), file+" is not a directory") {
		t.Errorf("unpack: got %v", err)
	}
}
