package modules

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mholt/archives"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
)

// tarOf makes a tar archive. Files have their content in the Linkname.
func tarOf(t testing.TB, members ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range members {
		content := ""
		if h.Typeflag == 0 || h.Typeflag == tar.TypeReg {
			content, h.Linkname = h.Linkname, ""
			h.Size = int64(len(content))
		}
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func tarFile(name, content string) tar.Header { return tar.Header{Name: name, Linkname: content} }

func tarLink(name, target string) tar.Header {
	return tar.Header{Name: name, Linkname: target, Typeflag: tar.TypeSymlink}
}

func compressed(t testing.TB, c archives.Compressor, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := c.OpenWriter(&b)
	if err == nil {
		_, err = w.Write(data)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zipOf(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, m := range []struct {
		name, text string
		mode       fs.FileMode
	}{{"top/", "", fs.ModeDir | 0o755}, {"top/run", "#!", 0o755}, {"top/sub/text", "text", 0o644}, {"top/link", "sub/text", fs.ModeSymlink | 0o777}} {
		h := &zip.FileHeader{Name: m.name, Method: zip.Deflate}
		h.SetMode(m.mode)
		f, err := w.CreateHeader(h)
		if err == nil {
			_, err = io.WriteString(f, m.text)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// tree describes what is below dir, the store aside.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == dir || d.Name() == storeName {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, name)
		s := fmt.Sprintf("%o %s", info.Mode().Perm(), rel)
		switch {
		case d.IsDir():
			s += "/"
		case d.Type() == fs.ModeSymlink:
			target, _ := os.Readlink(name)
			s = rel + " -> " + target
		default:
			s += " " + read(t, name)
		}
		out = append(out, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestUnpackFormats(t *testing.T) {
	t.Parallel()
	plain := tarOf(t, tar.Header{Name: "./top/", Typeflag: tar.TypeDir, Mode: 0o755}, tar.Header{Name: "./top/run", Linkname: "#!", Mode: 0o4775},
		tarFile("./top/sub/text", "text"), tarLink("./top/link", "sub/text"))
	wantTree := []string{"755 top/", "top/link -> sub/text", "755 top/run #!", "755 top/sub/", "644 top/sub/text text"}
	cases := map[string]struct {
		data []byte
		want []string
	}{
		"a.tar":     {plain, wantTree},
		"a.tar.gz":  {compressed(t, archives.Gz{}, plain), wantTree},
		"a.tar.bz2": {compressed(t, archives.Bz2{}, plain), wantTree},
		"a.tar.xz":  {compressed(t, archives.Xz{}, plain), wantTree},
		"a.tar.zst": {compressed(t, archives.Zstd{}, plain), wantTree},
		"wrong.txt": {compressed(t, archives.Gz{}, plain), wantTree},
		"a.zip":     {zipOf(t), wantTree},
		"a.gz":      {compressed(t, archives.Gz{}, []byte("text")), []string{"644 a text"}},
		"a.bz2":     {compressed(t, archives.Bz2{}, []byte("text")), []string{"644 a text"}},
		"a.xz":      {compressed(t, archives.Xz{}, []byte("text")), []string{"644 a text"}},
		"a.zst":     {compressed(t, archives.Zstd{}, bytes.Repeat([]byte("text"), 512)), []string{"644 a " + strings.Repeat("text", 512)}},
		"other":     {compressed(t, archives.Gz{}, nil), []string{"644 other "}},
		"empty.tar": {tarOf(t), nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			src, dest := filepath.Join(dir, name), filepath.Join(dir, "some", "dest")
			write(t, src, string(c.data))
			h := &engine.Host{Conn: here(t)}
			p, _, err := enact(t, &unpack{Src: src, Dest: hostPath(dest)}, h)
			if err != nil || p.Need != engine.Create {
				t.Fatalf("plan %v, %v", p, err)
			}
			if diff := cmp.Diff(c.want, tree(t, dest)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			p, _, err = enact(t, &unpack{Src: src, Dest: hostPath(dest)}, h)
			if err != nil || p.Need != engine.Matched {
				t.Errorf("second run: %v, %v", p, err)
			}
		})
	}
}

// TestUnpackRefuses makes sure that nothing at all is written when one member is
// bad, or what is on the host is in the way.
func TestUnpackRefuses(t *testing.T) {
	t.Parallel()
	var many []tar.Header
	for i := range 20 {
		many = append(many, tarFile(fmt.Sprint("../", i), ""))
	}
	cases := []struct {
		name    string
		members []tar.Header
		want    string
	}{
		{"absolute", []tar.Header{tarFile("/etc/x", "")}, `"/etc/x" is an absolute path`},
		{"above", []tar.Header{tarFile("a/../../x", "")}, "leads out of dest"},
		{"above within", []tar.Header{tarFile("a/../x", "")}, "leads out of dest"},
		{"link to absolute", []tar.Header{tarLink("l", "/etc")}, "absolute path"},
		{"link above", []tar.Header{tarLink("a/l", "../../x")}, "leads out of dest"},
		{"link by links", []tar.Header{tarLink("b", "."), tarLink("a", "b/../x")}, "leads out of dest"},
		{"link by deep links", []tar.Header{tarFile("c/d/e", ""), tarLink("b", "c/d"), tarLink("a", "b/../../../x")}, "leads out of dest"},
		{"link loop", []tar.Header{tarLink("a", "b"), tarLink("b", "a")}, "too many links"},
		{"through link", []tar.Header{tarLink("a", "b"), tarFile("a/x", "")}, `"a/x" is below "a", which is no directory`},
		{"below file", []tar.Header{tarFile("a", ""), tarFile("a/x", "")}, "which is no directory"},
		{"hard link out", []tar.Header{{Name: "h", Linkname: "/etc/passwd", Typeflag: tar.TypeLink}}, "absolute path"},
		{"hard link above", []tar.Header{{Name: "h", Linkname: "../x", Typeflag: tar.TypeLink}}, "leads out of dest"},
		{"hard link to none", []tar.Header{{Name: "h", Linkname: "x", Typeflag: tar.TypeLink}}, "no file of the archive"},
		{"hard link to link", []tar.Header{tarLink("l", "old"), {Name: "h", Linkname: "l", Typeflag: tar.TypeLink}}, "no file of the archive"},
		{"device", []tar.Header{{Name: "d", Typeflag: tar.TypeChar}}, "neither a file, a directory nor a link"},
		{"fifo", []tar.Header{{Name: "d", Typeflag: tar.TypeFifo}}, "neither a file, a directory nor a link"},
		{"bomb", []tar.Header{tarFile("big", strings.Repeat("0", 5000))}, "max_size"},
		{"our own", []tar.Header{tarFile(storeName, "{}")}, "jet-bus itself uses"},
		{"through link on the host", []tar.Header{tarFile("out/x", "")}, "is a symbolic link, and nothing is unpacked through it"},
		{"over link on the host to a directory", []tar.Header{{Name: "out/", Typeflag: tar.TypeDir}}, "symbolic link"},
		{"file over directory", []tar.Header{tarFile("dir", "")}, "is in the way"},
		{"directory over file", []tar.Header{tarFile("old/x", "")}, "is in the way"},
		{"long", []tar.Header{tarFile(strings.Repeat("x", 300), "")}, "too long"},
		{"many", many, `"../0"`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			dest := filepath.Join(dir, "dest")
			write(t, dest+"/old", "old")
			write(t, dest+"/dir/x", "x")
			write(t, dir+"/elsewhere/x", "x")
			if err := os.Symlink("../elsewhere", dest+"/out"); err != nil {
				t.Fatal(err)
			}
			write(t, dir+"/a.tar.gz", string(compressed(t, archives.Gz{}, tarOf(t, append([]tar.Header{tarFile("good", "x")}, c.members...)...))))
			before := tree(t, dir)
			_, _, err := enact(t, &unpack{Src: dir + "/a.tar.gz", Dest: hostPath(dest), MaxSize: 4096}, &engine.Host{Conn: here(t)})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want %q", err, c.want)
			}
			if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
				t.Errorf("something was written:\n%s", diff)
			}
			if _, err := os.Stat(dest + "/" + storeName); err == nil {
				t.Error("something was noted")
			}
		})
	}
}

// An archive that is larger than max_size as it lies there is refused by its name.
func TestUnpackLargeItself(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir+"/a.tar", string(tarOf(t, tarFile("big", strings.Repeat("0", 5000)))))
	_, _, err := enact(t, &unpack{Src: dir + "/a.tar", Dest: hostPath(dir + "/dest"), MaxSize: 4096}, &engine.Host{Conn: here(t)})
	if want := "unpacking " + dir + "/a.tar: it expands to more than max_size allows"; err == nil || err.Error() != want {
		t.Errorf("error is %v, want %q", err, want)
	}
}

func TestUnpackCutOff(t *testing.T) {
	t.Parallel()
	whole := compressed(t, archives.Gz{}, tarOf(t, tarFile("a", "a"), tarFile("b", strings.Repeat("b", 1000))))
	for _, n := range []int{len(whole) / 2, len(whole) - 1} {
		dir := t.TempDir()
		write(t, dir+"/a", string(whole[:n]))
		_, _, err := enact(t, &unpack{Src: dir + "/a", Dest: hostPath(dir + "/dest")}, &engine.Host{Conn: here(t)})
		if err == nil || !strings.Contains(err.Error(), "unexpected EOF") {
			t.Errorf("error is %v", err)
		}
		if _, err := os.Stat(dir + "/dest"); err == nil {
			t.Error("something was written")
		}
	}
}

func TestUnpackConverges(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	src, dest := dir+"/a.tar", dir+"/dest"
	write(t, src, string(tarOf(t, tarFile("x/a", "a"), tarFile("x/b", "b"), tarLink("x/l", "a"), tar.Header{Name: "x/h", Linkname: "x/a", Typeflag: tar.TypeLink})))
	h := &engine.Host{Conn: here(t)}
	step := func(name string, m unpack, want engine.Need, fields ...string) {
		t.Helper()
		m.Src, m.Dest = src, hostPath(dest)
		for again := range 2 {
			p, _, err := enact(t, &m, h)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if again == 1 {
				want, fields = engine.Matched, nil
			}
			if p.Need != want || !slices.Equal(p.Fields, fields) {
				t.Errorf("%s: plan is %v, want %v %v", name, p, want, fields)
			}
		}
	}
	try := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	step("new", unpack{}, engine.Create)
	try(os.Remove(dest + "/x/b"))
	step("file gone", unpack{}, engine.Modify, fieldContent)
	write(t, dest+"/x/b", "longer")
	write(t, dest+"/x/own", "own")
	step("file changed", unpack{}, engine.Modify, fieldContent)
	try(os.Remove(dest + "/x/l"))
	try(os.Symlink("b", dest+"/x/l"))
	step("link changed", unpack{}, engine.Modify, fieldContent)
	try(os.Remove(dest + "/x/a"))
	try(os.Symlink(dir+"/victim", dest+"/x/a"))
	write(t, dir+"/victim", "v")
	step("link in the place of a file", unpack{}, engine.Modify, fieldContent)
	if got := read(t, dir+"/victim"); got != "v" {
		t.Errorf("a link was followed: %q", got)
	}
	step("mode", unpack{Mode: engine.Mode{Given: true, Perm: 0o600}}, engine.Modify, fieldMode)
	write(t, src, string(tarOf(t, tarFile("x/a", "A"))))
	step("other archive", unpack{}, engine.Modify, fieldContent)
	want := []string{"755 x/", "644 x/a A", "600 x/b b", "600 x/h a", "x/l -> a", "644 x/own own"}
	if diff := cmp.Diff(want, tree(t, dest)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	step("stripped", unpack{Strip: 1}, engine.Modify, fieldContent)
	if got := read(t, dest+"/a"); got != "A" {
		t.Errorf("stripped file holds %q", got)
	}
	first := src
	src = dir + "/b.tar"
	write(t, src, string(tarOf(t, tarFile("a", "B"))))
	step("second archive over the first", unpack{}, engine.Create)
	src = first
	step("the first again", unpack{Strip: 1}, engine.Create)
}

func TestUnpackStopped(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir+"/a.tar", string(tarOf(t, tarFile("a", strings.Repeat("a", 1<<20)), tarFile("b", "b"))))
	h := &engine.Host{Conn: here(t)}
	m := unpack{Src: dir + "/a.tar", Dest: hostPath(dir + "/dest")}
	if err := m.Validate(); err != nil {
		t.Fatal(err)
	}
	p, err := m.Query(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	h.Conn = stopper{h.Conn, cancel}
	if _, err := m.Apply(ctx, h, p); err == nil {
		t.Fatal("nothing stopped it")
	}
	h.Conn = here(t)
	again := unpack{Src: m.Src, Dest: m.Dest}
	if p, _, err := enact(t, &again, h); err != nil || p.Need != engine.Create {
		t.Errorf("after the stop: %v, %v", p, err)
	}
	if got := read(t, dir+"/dest/b"); got != "b" {
		t.Errorf("file holds %q", got)
	}
}

// stopper is a host during the first write to which the run is stopped.
type stopper struct {
	conn.Conn
	cancel func()
}

func (s stopper) WriteFile(ctx context.Context, name string, r io.Reader, a conn.Attr) error {
	s.cancel()
	return s.Conn.WriteFile(ctx, name, r, a)
}

func FuzzArchive(f *testing.F) {
	plain := tarOf(f, tarFile("./a/b", "text"), tarLink("a/l", "b"))
	f.Add(plain)
	f.Add(zipOf(f))
	f.Add(compressed(f, archives.Gz{}, plain))
	f.Add(compressed(f, archives.Gz{}, []byte("text")))
	f.Fuzz(func(t *testing.T, data []byte) {
		ctx := t.Context()
		spooled, _, err := spool(ctx, bytes.NewReader(data), 1<<20)
		if err != nil {
			return
		}
		defer spooled.Close()
		a, err := newArchive(spooled, "a.gz", 1<<20, 0)
		if err != nil {
			return
		}
		l, err := a.list(ctx)
		if err != nil {
			return
		}
		for p, e := range l {
			if !filepath.IsLocal(p) || filepath.Clean(p) != p {
				t.Errorf("accepted the path %q", p)
			}
			if e.mode.Type() == fs.ModeSymlink && filepath.IsAbs(e.target) {
				t.Errorf("accepted a link to %q", e.target)
			}
		}
	})
}
