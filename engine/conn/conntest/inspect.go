package conntest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/jet-bus/jet-bus/engine/conn"
)

func (s *suite) inspect(path string, l conn.Look) conn.Inspection {
	s.Helper()
	found, err := s.c.Inspect(s.ctx, path, l)
	s.ok(err)
	return found
}

func sumOf(content []byte) []byte {
	sum := sha256.Sum256(content)
	return sum[:]
}

func (s *suite) inspects() {
	large := bytes.Repeat([]byte("0123456789abcdef"), 40_000)
	for name, content := range map[string][]byte{
		"empty": {}, "small": []byte("small\n"), "packet": large[:32<<10], "packets": large[:64<<10],
		"odd": large[:100_001], "large": large,
	} {
		path := s.path(name)
		s.write(path, string(content))
		size := int64(len(content))
		plain, err := s.c.Stat(s.ctx, path)
		s.ok(err)
		// The second time the file is known.
		for range 2 {
			s.equal(name+" alone", s.inspect(path, conn.Look{}), conn.Inspection{FileInfo: plain})
			s.equal(name+" with its sum", s.inspect(path, conn.Look{Sum: true, Size: -1}),
				conn.Inspection{FileInfo: plain, Sum: sumOf(content)})
			s.equal(name+" with its sum by size", s.inspect(path, conn.Look{Sum: true, Size: size}),
				conn.Inspection{FileInfo: plain, Sum: sumOf(content)})
			s.equal(name+" of another size", s.inspect(path, conn.Look{Sum: true, Size: size + 1}),
				conn.Inspection{FileInfo: plain})
			s.equal(name+" with its content", s.inspect(path, conn.Look{Content: size + 1}),
				conn.Inspection{FileInfo: plain, Content: content})
			s.equal(name+" with both", s.inspect(path, conn.Look{Sum: true, Size: -1, Content: 1 << 20}),
				conn.Inspection{FileInfo: plain, Sum: sumOf(content), Content: content})
			if size > 1 {
				s.equal(name+" with too much content", s.inspect(path, conn.Look{Content: size - 1}),
					conn.Inspection{FileInfo: plain})
			}
		}
	}
	// A file that has changed is not mistaken for what it was.
	s.write(s.path("small"), "changed")
	s.equal("sum of a changed file", s.inspect(s.path("small"), conn.Look{Sum: true, Size: -1}).Sum, sumOf([]byte("changed")))
	s.text("cp", s.path("odd"), s.path("small"))
	s.equal("sum of a file changed by a command", s.inspect(s.path("small"), conn.Look{Sum: true, Size: -1}).Sum,
		sumOf(large[:100_001]))
}

func (s *suite) inspectsOthers() {
	all := conn.Look{Sum: true, Size: -1, Content: 1 << 20}
	none := all
	none.NoFollow = true
	s.write(s.path("file"), "text")
	s.ok(s.c.Symlink(s.ctx, "file", s.path("link")))
	s.ok(s.c.Symlink(s.ctx, "nothing", s.path("dangling")))
	s.ok(s.c.Symlink(s.ctx, "loop", s.path("loop")))
	s.text("mkfifo", s.path("fifo"))
	s.equal("content behind a link", string(s.inspect(s.path("link"), all).Content), "text")
	for name, kind := range map[string]fs.FileMode{
		"link": fs.ModeSymlink, "dangling": fs.ModeSymlink, "loop": fs.ModeSymlink, "fifo": fs.ModeNamedPipe, "": fs.ModeDir,
	} {
		found := s.inspect(s.path(name), none)
		s.equal("type of "+name, found.Mode.Type(), kind)
		if found.Sum != nil || found.Content != nil {
			s.Errorf("%q, a %v, has the content %q and the sum %x", name, kind, found.Content, found.Sum)
		}
	}
	for name, want := range map[string]error{
		"nothing": fs.ErrNotExist, "dangling": fs.ErrNotExist, "file/below": fs.ErrNotExist, "loop": syscall.ELOOP,
	} {
		_, err := s.c.Inspect(s.ctx, s.path(name), all)
		s.is(err, want, s.path(name))
	}
	_, err := s.c.Checksum(s.ctx, s.dir)
	s.is(err, fs.ErrInvalid, s.dir)
	_, err = s.c.Inspect(s.ctx, "relative", all)
	s.is(err, fs.ErrInvalid, "relative")
	// What was a file is one no more.
	s.ok(s.c.Remove(s.ctx, s.path("file")))
	s.text("mkfifo", s.path("file"))
	s.equal("type of what was a file", s.inspect(s.path("file"), conn.Look{}).Mode.Type(), fs.ModeNamedPipe)
	s.equal("content of what was a file", s.inspect(s.path("file"), all).Content, []byte(nil))
}

func noFollow(a conn.Attr) conn.Attr {
	a.NoFollow = true
	return a
}

func (s *suite) linkAttributes() {
	file, link := s.path("file"), s.path("link")
	s.ok(s.c.WriteFile(s.ctx, file, strings.NewReader("x"), mode(0o640)))
	s.ok(s.c.Symlink(s.ctx, "file", link))
	s.ok(s.c.Symlink(s.ctx, "nothing", s.path("dangling")))
	fi := s.lstat(file)
	own := conn.Attr{Owner: fi.Owner, Group: fi.Group}
	for _, path := range []string{file, link, s.path("dangling"), s.dir} {
		s.ok(s.c.SetAttr(s.ctx, path, noFollow(own)))
		s.ok(s.c.SetAttr(s.ctx, path, noFollow(conn.Attr{Owner: fi.Owner})))
	}
	s.ok(s.c.SetAttr(s.ctx, link, noFollow(mode(0o777))))
	s.equal("mode behind a link", s.lstat(file).Mode, fs.FileMode(0o640))
	s.ok(s.c.SetAttr(s.ctx, file, noFollow(mode(0o600))))
	s.equal("mode of a file that is no link", s.lstat(file).Mode, fs.FileMode(0o600))
	s.is(s.c.SetAttr(s.ctx, s.path("missing"), noFollow(own)), fs.ErrNotExist, "missing")
	if fi.UID != 0 {
		s.is(s.c.SetAttr(s.ctx, link, noFollow(conn.Attr{Owner: "root"})), fs.ErrPermission, link)
		return
	}
	s.ok(s.c.SetAttr(s.ctx, link, noFollow(conn.Attr{Owner: "daemon", Group: "54321"})))
	got := s.lstat(link)
	s.equal("owner of a link", []string{got.Owner, got.Group}, []string{"daemon", "54321"})
	s.equal("owner behind a link", s.lstat(file).Owner, fi.Owner)
	s.ok(s.c.SetAttr(s.ctx, file, mode(0o755|fs.ModeSetuid)))
	s.ok(s.c.SetAttr(s.ctx, file, noFollow(conn.Attr{Owner: "daemon"})))
	s.equal("mode after a change of owner", s.lstat(file).Mode, 0o755|fs.ModeSetuid)
	s.ok(s.c.SetAttr(s.ctx, file, noFollow(conn.Attr{Owner: "0", Mode: mode(0o711 | fs.ModeSetgid).Mode})))
	s.equal("mode that was asked for", s.lstat(file).Mode, 0o711|fs.ModeSetgid)
}

// A file's size does not show in the memory of this process. Other tests run
// beside this one, so the bound is a loose one.
func (s *suite) huge() {
	size, most := int64(32<<20), uint64(16<<20)
	if testing.Short() {
		size = 4 << 20
	}
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	before, peak, seen := m.HeapAlloc, uint64(0), 0
	look := func(n int) {
		if seen += n; seen < 8<<20 {
			return
		}
		seen = 0
		runtime.GC()
		runtime.ReadMemStats(&m)
		peak = max(peak, m.HeapAlloc-min(before, m.HeapAlloc))
	}
	content := io.LimitReader(readerFunc(func(p []byte) (int, error) {
		look(len(p))
		clear(p)
		return len(p), nil
	}), size)
	s.ok(s.c.WriteFile(s.ctx, s.path("huge"), content, conn.Attr{}))
	r, err := s.c.Open(s.ctx, s.path("huge"))
	s.ok(err)
	n, err := io.Copy(writerFunc(func(p []byte) (int, error) {
		look(len(p))
		return len(p), nil
	}), r)
	s.ok(err)
	s.ok(r.Close())
	s.equal("size read", n, size)
	if peak > most {
		s.Errorf("up to %d MiB were in use", peak>>20)
	}
}

// A write that is given up in the middle leaves the old file.
func (s *suite) interrupted() {
	file := s.path("file")
	s.write(file, "old")
	for _, size := range []int{0, 1, 50_000, 3 << 20} {
		ctx, cancel := context.WithCancelCause(s.ctx)
		stopped := errors.New("stopped by the test")
		content := io.MultiReader(bytes.NewReader(make([]byte, size)), readerFunc(func([]byte) (int, error) {
			cancel(stopped)
			<-ctx.Done()
			return 0, io.EOF
		}))
		s.is(s.c.WriteFile(ctx, file, content, conn.Attr{}), stopped, file)
		s.equal("size", s.lstat(file).Size, int64(len("old")))
		s.equal("content", s.read(file), "old")
		s.equal("files", s.list(s.dir), []string{"file"})
	}
}
