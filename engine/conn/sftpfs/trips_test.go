package sftpfs

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/files"
)

// oneWay is the distance to the server in these tests.
const oneWay = time.Second

// costs is round trips: on a server whose handles can be foreseen, and on others.
type costs struct{ openssh, other int }

func same(n int) costs { return costs{n, n} }

func attr(uid, gid int, mode ...fs.FileMode) files.Attr {
	a := files.Attr{UID: uid, GID: gid}
	if len(mode) > 0 {
		a.Mode = &mode[0]
	}
	return a
}

var keep = attr(-1, -1)

// What operations cost is what this package is for.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	uid, gid := os.Getuid(), os.Getgid()
	small, large := bytes.Repeat([]byte("x"), 1<<10), bytes.Repeat([]byte("y"), 1<<20)
	var s *System
	var dir string
	ctx := context.Background()
	inspect := func(name string, l conn.Look) error {
		_, err := s.Inspect(ctx, filepath.Join(dir, name), l)
		if name == "absent" {
			return nil
		}
		return err
	}
	write := func(name string, content []byte, a files.Attr) error {
		return s.Write(ctx, filepath.Join(dir, name), bytes.NewReader(content), a)
	}
	sum := conn.Look{Sum: true, Size: -1}
	steps := []struct {
		name string
		cost costs
		do   func() error
	}{
		{"session and stat", same(2), func() error { _, err := s.Stat(ctx, dir, true); return err }},
		{"stat", same(1), func() error { _, err := s.Stat(ctx, dir, true); return err }},
		{"root's names", same(0), func() error { _, _, _, err := s.NamesOf(ctx, []int{0}, []int{0}); return err }},
		{"inspect what is absent", same(1), func() error { return inspect("absent", sum) }},
		{"inspect a file not seen before", costs{2, 3}, func() error { return inspect("seen", sum) }},
		{"inspect a file seen before", costs{1, 2}, func() error { return inspect("seen", sum) }},
		{"content of a file seen before", costs{1, 2}, func() error { return inspect("seen", conn.Look{Content: 1 << 20}) }},
		{"inspect another size", same(1), func() error { return inspect("seen", conn.Look{Sum: true, Size: 7}) }},
		{"inspect a directory", same(1), func() error { return inspect("", sum) }},
		{"read", costs{1, 2}, func() error {
			r, err := s.Open(ctx, filepath.Join(dir, "seen"))
			if err != nil {
				return err
			}
			defer r.Close()
			_, err = io.Copy(io.Discard, r)
			return err
		}},
		{"write a new file", same(3), func() error { return write("new", small, keep) }},
		{"write it again", same(3), func() error { return write("new", small, keep) }},
		{"write with attributes", same(3), func() error { return write("new", small, attr(uid, -1, 0o640)) }},
		{"inspect what was written", costs{1, 2}, func() error { return inspect("new", sum) }},
		{"write 1 MiB", same(3), func() error { return write("large", large, keep) }},
		{"write through a link", same(5), func() error { return write("link", small, keep) }},
		// The command that other servers need is not counted.
		{"copy", costs{4, 3}, func() error {
			return s.Copy(ctx, filepath.Join(dir, "large"), filepath.Join(dir, "copy"), keep)
		}},
		{"make a directory", same(1), func() error { return s.Mkdir(ctx, filepath.Join(dir, "d"), attr(-1, -1, 0o755)) }},
		{"make one with an owner", same(2), func() error { return s.Mkdir(ctx, filepath.Join(dir, "e"), attr(uid, gid, 0o750)) }},
		{"set a mode", same(1), func() error { return s.SetAttr(ctx, filepath.Join(dir, "d"), attr(-1, -1, 0o700)) }},
		{"set everything", same(1), func() error { return s.SetAttr(ctx, filepath.Join(dir, "d"), attr(uid, gid, 0o711)) }},
		{"set the owner", same(2), func() error { return s.SetAttr(ctx, filepath.Join(dir, "d"), attr(uid, -1)) }},
		{"read a directory", same(2), func() error { _, err := s.ReadDir(ctx, dir); return err }},
		{"symlink", same(1), func() error { return s.Symlink(ctx, "x", filepath.Join(dir, "s")) }},
		{"rename", same(1), func() error { return s.Rename(ctx, filepath.Join(dir, "s"), filepath.Join(dir, "t")) }},
		{"remove", same(1), func() error { return s.Remove(ctx, filepath.Join(dir, "t")) }},
		{"remove all of a file", same(1), func() error { return s.RemoveAll(ctx, filepath.Join(dir, "copy")) }},
		{"remove all of nothing", same(1), func() error { return s.RemoveAll(ctx, filepath.Join(dir, "copy")) }},
		{"remove a directory", same(1), func() error { return s.Remove(ctx, filepath.Join(dir, "d")) }},
	}
	for _, kind := range []string{"openssh", "other"} {
		t.Run(kind, func(t *testing.T) {
			dir = t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "seen"), small, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink("seen", filepath.Join(dir, "link")); err != nil {
				t.Fatal(err)
			}
			var server io.ReadWriteCloser
			if kind == "openssh" {
				server = openssh(t)
			}
			synctest.Test(t, func(t *testing.T) {
				if server == nil {
					server = library(t)
				}
				var session *Session
				s, session = over(t, far(server, oneWay))
				want, got := map[string]int{}, map[string]int{}
				for _, step := range steps {
					start := time.Now()
					if err := step.do(); err != nil {
						t.Fatalf("%s: %v", step.name, err)
					}
					got[step.name] = int(time.Since(start) / (2 * oneWay))
					want[step.name] = step.cost.openssh
					if kind == "other" {
						want[step.name] = step.cost.other
					}
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("round trips (-want +got):\n%s", diff)
				}
				if text, err := os.ReadFile(filepath.Join(dir, "large")); err != nil || !bytes.Equal(text, large) {
					t.Errorf("1 MiB was written as %d bytes (%v)", len(text), err)
				}
				_ = session.Close()
			})
		})
	}
}
