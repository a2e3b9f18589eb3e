package conntest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"strconv"
	"strings"
	"syscall"
	"testing/iotest"
	"time"

	"github.com/jet-bus/jet-bus/engine/conn"
)

func (s *suite) names() {
	for _, name := range []string{
		"plain", "two words", " ", "-rf", "--", "it's", `"double"`, "$HOME `id`", "a;b&c|d", "*?[x]",
		"new\nline", "tab\t", "back\\slash", "caf\u00e9", "\xff\xfe not utf-8", "\x01\x1b[31m", "~", "#", "trailing ", ".hidden", "…",
	} {
		path := s.path(name)
		s.write(path, name)
		s.equal("content of "+strconv.Quote(name), s.read(path), name)
		s.equal("list with "+strconv.Quote(name), s.list(s.dir), []string{name})
		sum, err := s.c.Checksum(s.ctx, path)
		s.ok(err)
		want := sha256.Sum256([]byte(name))
		s.equal("checksum", sum, want[:])
		s.ok(s.c.Copy(s.ctx, path, path+"2", conn.Attr{}))
		s.equal("content of a copy", s.read(path+"2"), name)
		found := s.inspect(path, conn.Look{Sum: true, Size: -1, Content: 1 << 10})
		s.equal("inspected content", string(found.Content), name)
		s.equal("inspected sum", found.Sum, want[:])
		s.ok(s.c.SetAttr(s.ctx, path, mode(0o600)))
		s.ok(s.c.SetAttr(s.ctx, path, noFollow(mode(0o640))))
		s.equal("mode", s.lstat(path).Mode, fs.FileMode(0o640))
		s.ok(s.c.Rename(s.ctx, path+"2", path))
		s.ok(s.c.Symlink(s.ctx, name, path+".link"))
		target, err := s.c.ReadLink(s.ctx, path+".link")
		s.ok(err)
		s.equal("link to "+strconv.Quote(name), target, name)
		s.equal("content through a link", s.read(path+".link"), name)
		s.ok(s.c.Remove(s.ctx, path+".link"))
		s.ok(s.c.Remove(s.ctx, path))
		s.ok(s.c.Mkdir(s.ctx, path+"/"+name, conn.Attr{}))
		s.write(path+"/"+name+"/x", "")
		s.ok(s.c.RemoveAll(s.ctx, path))
		s.equal("list without "+strconv.Quote(name), s.list(s.dir), []string{})
	}
}

func (s *suite) stat() {
	file, link := s.path("file"), s.path("link")
	s.write(file, "12345")
	s.ok(s.c.Symlink(s.ctx, "file", link))
	fi, err := s.c.Stat(s.ctx, link)
	s.ok(err)
	s.equal("size", fi.Size, int64(5))
	s.equal("mode", fi.Mode, fs.FileMode(0o644))
	s.equal("owner", fi.Owner, s.c.User())
	s.equal("owner's id", strconv.Itoa(fi.UID)+"\n", s.text("id", "-u"))
	s.equal("group's id", strconv.Itoa(fi.GID)+"\n", s.text("id", "-g"))
	s.equal("group", fi.Group+"\n", s.text("id", "-gn"))
	if age := time.Since(fi.ModTime); age < -time.Minute || age > time.Hour {
		s.Errorf("a new file is %s old", age)
	}
	s.equal("type of a link", s.lstat(link).Mode.Type(), fs.ModeSymlink)
	s.equal("type of a directory", s.lstat(s.dir).Mode.Type(), fs.ModeDir)
	s.text("mkfifo", s.path("fifo"))
	s.equal("type of a fifo", s.lstat(s.path("fifo")).Mode.Type(), fs.ModeNamedPipe)
}

func (s *suite) modes() {
	for _, m := range []fs.FileMode{
		0, 0o600, 0o644, 0o755, 0o777, 0o007,
		0o755 | fs.ModeSetuid, 0o2755&0o777 | fs.ModeSetgid, 0o700 | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky,
	} {
		file := s.path("file" + m.String())
		s.ok(s.c.WriteFile(s.ctx, file, strings.NewReader("x"), mode(m)))
		s.equal("mode of a new file", s.lstat(file).Mode, m)
		s.ok(s.c.SetAttr(s.ctx, file, mode(0o640)))
		s.equal("mode", s.lstat(file).Mode, fs.FileMode(0o640))
		s.ok(s.c.SetAttr(s.ctx, file, mode(m)))
		s.equal("mode", s.lstat(file).Mode, m)
	}
	dir := s.path("dir")
	s.ok(s.c.Mkdir(s.ctx, dir, mode(0o777|fs.ModeSticky)))
	s.equal("mode of a directory", s.lstat(dir).Mode, 0o777|fs.ModeSticky|fs.ModeDir)
	s.ok(s.c.Symlink(s.ctx, "dir", s.path("link")))
	s.ok(s.c.SetAttr(s.ctx, s.path("link"), mode(0o711)))
	s.equal("mode through a link", s.lstat(dir).Mode, 0o711|fs.ModeDir)
}

func (s *suite) owners() {
	file := s.path("file")
	s.write(file, "x")
	fi := s.lstat(file)
	own := conn.Attr{Owner: fi.Owner, Group: fi.Group}
	s.ok(s.c.SetAttr(s.ctx, file, own))
	s.ok(s.c.WriteFile(s.ctx, file, strings.NewReader("y"), own))
	s.ok(s.c.SetAttr(s.ctx, file, conn.Attr{Owner: strconv.Itoa(fi.UID), Group: strconv.Itoa(fi.GID)}))
	for name, err := range map[string]error{
		"no-such-user":  s.c.SetAttr(s.ctx, file, conn.Attr{Owner: "no-such-user"}),
		"no-such-group": s.c.SetAttr(s.ctx, file, conn.Attr{Group: "no-such-group"}),
		"no-such-owner": s.c.WriteFile(s.ctx, file, strings.NewReader("z"), conn.Attr{Owner: "no-such-owner"}),
		"no-such-dir":   s.c.Mkdir(s.ctx, s.path("new/dir"), conn.Attr{Owner: "no-such-dir"}),
	} {
		// It is not a file that is missing.
		if err == nil || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), name) {
			s.Errorf("unknown name %s: error is %v", name, err)
		}
	}
	s.equal("files after refusals", s.list(s.dir), []string{"file"})
	s.is(s.c.SetAttr(s.ctx, file, conn.Attr{Owner: "99999999999"}), fs.ErrInvalid, "99999999999")
	s.equal("content after refusals", s.read(file), "y")
	if fi.UID != 0 {
		s.is(s.c.SetAttr(s.ctx, file, conn.Attr{Owner: "root"}), fs.ErrPermission, file)
		s.is(s.c.WriteFile(s.ctx, file, strings.NewReader("z"), conn.Attr{Owner: "0"}), fs.ErrPermission, file)
		s.is(s.c.Mkdir(s.ctx, s.path("up/down"), conn.Attr{Owner: "0"}), fs.ErrPermission, "up/down")
		s.equal("files after refusals", s.list(s.dir), []string{"file"})
		return
	}
	s.ok(s.c.SetAttr(s.ctx, file, mode(0o755|fs.ModeSetuid)))
	s.ok(s.c.SetAttr(s.ctx, file, conn.Attr{Owner: "daemon", Group: "54321"}))
	fi = s.lstat(file)
	s.equal("owner", []string{fi.Owner, fi.Group}, []string{"daemon", "54321"})
	s.equal("mode after a change of owner", fi.Mode, 0o755|fs.ModeSetuid)
	s.write(file, "kept")
	fi = s.lstat(file)
	s.equal("owner after a write", []string{fi.Owner, fi.Group}, []string{"daemon", "54321"})
	s.equal("mode after a write", fi.Mode, 0o755|fs.ModeSetuid)
	s.ok(s.c.Mkdir(s.ctx, s.path("up/down"), conn.Attr{Owner: "daemon"}))
	s.equal("owner of a directory", s.lstat(s.path("up/down")).Owner, "daemon")
	s.equal("owner of the one above", s.lstat(s.path("up")).Owner, "root")
}

// A loop of links is no missing file.
func (s *suite) loops() {
	s.ok(s.c.Symlink(s.ctx, "b", s.path("a")))
	s.ok(s.c.Symlink(s.ctx, s.path("a"), s.path("b")))
	_, err := s.c.Stat(s.ctx, s.path("a"))
	s.is(err, syscall.ELOOP, s.path("a"))
	_, err = s.c.Open(s.ctx, s.path("a"))
	s.is(err, syscall.ELOOP, s.path("a"))
	s.ok(s.c.Symlink(s.ctx, "nothing", s.path("dangling")))
	_, err = s.c.Stat(s.ctx, s.path("dangling"))
	s.is(err, fs.ErrNotExist, s.path("dangling"))
}

func (s *suite) missing() {
	path := s.path("missing")
	inside := path + "/file"
	_, err := s.c.Stat(s.ctx, path)
	s.is(err, fs.ErrNotExist, path)
	_, err = s.c.Lstat(s.ctx, path)
	s.is(err, fs.ErrNotExist, path)
	_, err = s.c.ReadLink(s.ctx, path)
	s.is(err, fs.ErrNotExist, path)
	_, err = s.c.ReadDir(s.ctx, path)
	s.is(err, fs.ErrNotExist, path)
	_, err = s.c.Open(s.ctx, path)
	s.is(err, fs.ErrNotExist, path)
	_, err = s.c.Checksum(s.ctx, path)
	s.is(err, fs.ErrNotExist, path)
	s.is(s.c.WriteFile(s.ctx, inside, strings.NewReader(""), conn.Attr{}), fs.ErrNotExist, inside)
	s.is(s.c.SetAttr(s.ctx, path, mode(0o600)), fs.ErrNotExist, path)
	s.is(s.c.Symlink(s.ctx, "x", inside), fs.ErrNotExist, inside)
	s.is(s.c.Rename(s.ctx, path, s.path("other")), fs.ErrNotExist, path)
	s.is(s.c.Copy(s.ctx, path, s.path("other"), conn.Attr{}), fs.ErrNotExist, path)
	s.is(s.c.Remove(s.ctx, path), fs.ErrNotExist, path)
	s.ok(s.c.RemoveAll(s.ctx, path))
	s.write(s.path("file"), "")
	_, err = s.c.Stat(s.ctx, s.path("file/below"))
	s.is(err, fs.ErrNotExist, "file/below")
	s.ok(s.c.Symlink(s.ctx, "nowhere", s.path("dangling")))
	_, err = s.c.Stat(s.ctx, s.path("dangling"))
	s.is(err, fs.ErrNotExist, "dangling")
}

func (s *suite) existing() {
	file, dir := s.path("file"), s.path("dir")
	s.write(file, "x")
	s.ok(s.c.Mkdir(s.ctx, dir, conn.Attr{}))
	s.is(s.c.Mkdir(s.ctx, dir, conn.Attr{}), fs.ErrExist, dir)
	s.is(s.c.Mkdir(s.ctx, file, conn.Attr{}), fs.ErrExist, file)
	s.is(s.c.Symlink(s.ctx, "x", file), fs.ErrExist, file)
	s.is(s.c.WriteFile(s.ctx, dir, strings.NewReader("x"), conn.Attr{}), fs.ErrExist, dir)
	s.write(dir+"/inside", "")
	if err := s.c.Remove(s.ctx, dir); err == nil {
		s.Error("a directory with files was removed")
	}
	s.equal("after refusals", s.list(s.dir), []string{"dir", "file"})
}

func (s *suite) refused() {
	if s.text("id", "-u") == "0\n" {
		s.is(s.c.Mkdir(s.ctx, "/proc/jet", conn.Attr{}), fs.ErrNotExist, "/proc/jet")
		return
	}
	_, err := s.c.Open(s.ctx, "/etc/shadow")
	s.is(err, fs.ErrPermission, "/etc/shadow")
	s.is(s.c.WriteFile(s.ctx, "/etc/jet", strings.NewReader(""), conn.Attr{}), fs.ErrPermission, "/etc/jet")
	s.is(s.c.Mkdir(s.ctx, "/etc/jet", conn.Attr{}), fs.ErrPermission, "/etc/jet")
	s.is(s.c.Remove(s.ctx, "/etc/passwd"), fs.ErrPermission, "/etc/passwd")
	s.is(s.c.SetAttr(s.ctx, "/etc/passwd", mode(0o666)), fs.ErrPermission, "/etc/passwd")
	_, err = s.c.Run(s.ctx, conn.Cmd{Argv: []string{"true"}, Dir: "/root"})
	s.is(err, fs.ErrPermission, "/root")
}

func (s *suite) badPaths() {
	for _, path := range []string{"", "relative", "./x", "/nul\x00byte"} {
		_, err := s.c.Stat(s.ctx, path)
		s.is(err, fs.ErrInvalid, "stat")
		s.is(s.c.WriteFile(s.ctx, path, strings.NewReader(""), conn.Attr{}), fs.ErrInvalid, "write")
		s.is(s.c.RemoveAll(s.ctx, path), fs.ErrInvalid, "remove")
		s.is(s.c.Rename(s.ctx, path, s.path("x")), fs.ErrInvalid, "rename")
		s.is(s.c.Mkdir(s.ctx, path, conn.Attr{}), fs.ErrInvalid, "make directory")
	}
}

func (s *suite) keeps() {
	file := s.path("file")
	s.write(file, "old")
	s.equal("mode of a new file", s.lstat(file).Mode, fs.FileMode(0o644))
	s.ok(s.c.SetAttr(s.ctx, file, mode(0o4711&0o777|fs.ModeSetuid)))
	s.write(file, "new")
	s.equal("mode", s.lstat(file).Mode, 0o711|fs.ModeSetuid)
	s.ok(s.c.WriteFile(s.ctx, file, strings.NewReader(""), mode(0o600)))
	s.equal("mode that was asked for", s.lstat(file).Mode, fs.FileMode(0o600))
	s.equal("content", s.read(file), "")
	s.equal("files", s.list(s.dir), []string{"file"})
}

func (s *suite) follows() {
	s.ok(s.c.Mkdir(s.ctx, s.path("sub"), conn.Attr{}))
	s.write(s.path("sub/file"), "old")
	s.ok(s.c.Symlink(s.ctx, "sub/hop", s.path("link")))
	s.ok(s.c.Symlink(s.ctx, s.path("sub/../sub/file"), s.path("sub/hop")))
	s.write(s.path("link"), "new")
	s.equal("content", s.read(s.path("sub/file")), "new")
	s.equal("type of the link", s.lstat(s.path("link")).Mode.Type(), fs.ModeSymlink)
	s.ok(s.c.Symlink(s.ctx, "sub/later", s.path("dangling")))
	s.write(s.path("dangling"), "made")
	s.equal("content", s.read(s.path("sub/later")), "made")
	s.ok(s.c.Symlink(s.ctx, "loop", s.path("loop")))
	if err := s.c.WriteFile(s.ctx, s.path("loop"), strings.NewReader(""), conn.Attr{}); err == nil {
		s.Error("a write through a loop of links succeeded")
	}
}

func (s *suite) traceless() {
	broken := errors.New("the content broke off")
	file := s.path("file")
	s.write(file, "old")
	for _, size := range []int{0, 1, 32 << 10, 1 << 20} {
		content := io.MultiReader(bytes.NewReader(make([]byte, size)), iotest.ErrReader(broken))
		s.is(s.c.WriteFile(s.ctx, file, content, conn.Attr{}), broken, file)
		s.is(s.c.WriteFile(s.ctx, s.path("new"), iotest.ErrReader(broken), conn.Attr{}), broken, "new")
		// What readers of blocks could take for the end.
		content = io.MultiReader(bytes.NewReader(make([]byte, size)), iotest.ErrReader(io.ErrUnexpectedEOF))
		if s.c.WriteFile(s.ctx, file, content, conn.Attr{}) == nil {
			s.Errorf("content that was cut off after %d bytes was written", size)
		}
	}
	s.equal("content", s.read(file), "old")
	s.equal("files", s.list(s.dir), []string{"file"})
}

func (s *suite) cancelledWrite() {
	ctx, cancel := context.WithCancelCause(s.ctx)
	stopped := errors.New("stopped by the test")
	content := io.MultiReader(bytes.NewReader(make([]byte, 1<<20)), readerFunc(func([]byte) (int, error) {
		cancel(stopped)
		return 0, nil
	}))
	s.is(s.c.WriteFile(ctx, s.path("file"), content, conn.Attr{}), stopped, "file")
	s.equal("files", s.list(s.dir), []string{})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func (s *suite) large() {
	const size = 5<<20 + 12345
	content := func() io.Reader { return io.LimitReader(rand.NewChaCha8([32]byte{1}), size) }
	h := sha256.New()
	_, err := io.Copy(h, content())
	s.ok(err)
	file := s.path("large")
	s.ok(s.c.WriteFile(s.ctx, file, content(), conn.Attr{}))
	sum, err := s.c.Checksum(s.ctx, file)
	s.ok(err)
	s.equal("checksum", sum, h.Sum(nil))
	s.ok(s.c.Copy(s.ctx, file, s.path("copy"), conn.Attr{}))
	r, err := s.c.Open(s.ctx, s.path("copy"))
	s.ok(err)
	read := sha256.New()
	head := make([]byte, 100)
	_, err = io.ReadFull(r, head)
	s.ok(err)
	read.Write(head)
	n, err := io.Copy(read, r)
	s.ok(err)
	s.ok(r.Close())
	s.equal("size read", n, int64(size-100))
	s.equal("checksum of what was read", read.Sum(nil), h.Sum(nil))

	ctx, cancel := context.WithCancelCause(s.ctx)
	stopped := errors.New("stopped by the test")
	r, err = s.c.Open(ctx, file)
	s.ok(err)
	cancel(stopped)
	_, err = io.Copy(io.Discard, r)
	s.is(err, stopped, "")
	_ = r.Close()
}

func (s *suite) copies() {
	from, to := s.path("from"), s.path("to")
	s.ok(s.c.WriteFile(s.ctx, from, strings.NewReader("content"), mode(0o600)))
	s.ok(s.c.Copy(s.ctx, from, to, conn.Attr{}))
	s.equal("content", s.read(to), "content")
	s.equal("mode of a new copy", s.lstat(to).Mode, fs.FileMode(0o644))
	s.ok(s.c.Copy(s.ctx, from, to, mode(0o400)))
	s.equal("mode that was asked for", s.lstat(to).Mode, fs.FileMode(0o400))
	s.ok(s.c.Copy(s.ctx, to, to, conn.Attr{}))
	s.equal("content copied onto itself", s.read(to), "content")
	s.is(s.c.Copy(s.ctx, s.dir, s.path("x"), conn.Attr{}), fs.ErrInvalid, s.dir)
	s.equal("files", s.list(s.dir), []string{"from", "to"})
}

func (s *suite) directories() {
	deep := s.path("a/b/c")
	s.ok(s.c.Mkdir(s.ctx, deep+"/", mode(0o700)))
	s.equal("mode", s.lstat(deep).Mode, 0o700|fs.ModeDir)
	s.equal("mode above", s.lstat(s.path("a/b")).Mode, 0o755|fs.ModeDir)
	for _, name := range []string{"z", "a", "M", ".h"} {
		s.write(deep+"/"+name, "")
	}
	s.equal("sorted names", s.list(deep), []string{".h", "M", "a", "z"})
	if _, err := s.c.ReadDir(s.ctx, deep+"/z"); err == nil {
		s.Error("a file was read as a directory")
	}
	s.write(s.path("file"), "")
	if err := s.c.Mkdir(s.ctx, s.path("file/below"), conn.Attr{}); err == nil {
		s.Error("a directory was made in a file")
	}
}

func (s *suite) renames() {
	s.write(s.path("a"), "a")
	s.write(s.path("b"), "b")
	s.ok(s.c.Rename(s.ctx, s.path("a"), s.path("b")))
	s.equal("files", s.list(s.dir), []string{"b"})
	s.equal("content", s.read(s.path("b")), "a")
	s.ok(s.c.Mkdir(s.ctx, s.path("d"), conn.Attr{}))
	if err := s.c.Rename(s.ctx, s.path("b"), s.path("d")); err == nil {
		s.Error("a file was renamed over a directory")
	}
}

func (s *suite) removeAll() {
	for _, path := range []string{"/", "//", "/.", "/tmp/..", "/../"} {
		s.is(s.c.RemoveAll(s.ctx, path), fs.ErrInvalid, path)
	}
	s.ok(s.c.Mkdir(s.ctx, s.path("kept"), conn.Attr{}))
	s.write(s.path("kept/file"), "x")
	s.ok(s.c.Mkdir(s.ctx, s.path("tree/-rf/deep"), conn.Attr{}))
	s.write(s.path("tree/-rf/file"), "x")
	s.ok(s.c.Symlink(s.ctx, "../kept", s.path("tree/link")))
	s.ok(s.c.RemoveAll(s.ctx, s.path("tree")))
	s.ok(s.c.Symlink(s.ctx, "kept", s.path("link")))
	s.ok(s.c.RemoveAll(s.ctx, s.path("link/")))
	s.ok(s.c.RemoveAll(s.ctx, s.path("nothing")))
	s.equal("files", s.list(s.dir), []string{"kept"})
	s.equal("files behind links", s.list(s.path("kept")), []string{"file"})
	s.ok(s.c.RemoveAll(s.ctx, s.path("kept/file")))
	s.equal("files", s.list(s.path("kept")), []string{})
}
