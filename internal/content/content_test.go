package content_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/internal/content"
)

// write makes files below a new directory. A value that begins with "-> " makes
// a link, a name that ends in * an executable file.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		mode := fs.FileMode(0o600)
		name, exec := strings.CutSuffix(name, "*")
		if exec {
			mode = 0o700
		}
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		target, link := strings.CutPrefix(text, "-> ")
		var err error
		if link {
			err = os.Symlink(target, name)
		} else {
			err = os.WriteFile(name, []byte(text), mode)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// read returns the files below dir as write takes them.
func read(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			target, err := os.Readlink(name)
			files[rel] = "-> " + target
			return err
		}
		switch info.Mode().Perm() {
		case 0o755:
			rel += "*"
		case 0o644:
		default:
			return fmt.Errorf("%s has mode %v", rel, info.Mode())
		}
		data, err := os.ReadFile(name)
		files[rel] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	long := "roles/" + strings.Repeat("ä", 120) + "/role.yml"
	files := map[string]string{
		"playbooks/site.yml": "- name: a\n", "modules/probe.py*": "#!/bin/sh\n", "empty": "", long: "x",
		"inventory/groups/web": "hosts: [a]\n", "playbooks/current.yml": "-> site.yml", "inv": "-> inventory/groups",
	}
	out := map[string]string{
		".git/HEAD": "ref", "roles/.git": "gitdir: x", "a~": "x", "playbooks/.site.yml.swp": "x", ".#lock": "x",
	}
	all := map[string]string{}
	for _, m := range []map[string]string{files, out} {
		maps.Copy(all, m)
	}
	b, err := content.Build(t.Context(), write(t, all))
	if err != nil {
		t.Fatal(err)
	}
	if b.Files != len(files) || b.Size != int64(len("- name: a\n#!/bin/sh\nxhosts: [a]\n")) {
		t.Errorf("%d files of %d bytes", b.Files, b.Size)
	}
	cache := filepath.Join(t.TempDir(), "cache")
	dir, err := content.Unpack(t.Context(), bytes.NewReader(b.Data), b.Digest, cache)
	if err != nil {
		t.Fatal(err)
	}
	if dir != filepath.Join(cache, b.Digest) {
		t.Errorf("unpacked into %s", dir)
	}
	if d := cmp.Diff(files, read(t, dir)); d != "" {
		t.Error(d)
	}
	// What was unpacked bundles to the same name.
	again, err := content.Build(t.Context(), dir)
	if err != nil || again.Digest != b.Digest {
		t.Errorf("digest %s, then %s, error %v", b.Digest, again.Digest, err)
	}
	// A second call needs no data.
	if _, err := content.Unpack(t.Context(), nil, b.Digest, cache); err != nil {
		t.Error(err)
	}
}

func TestBuildIsDeterministic(t *testing.T) {
	t.Parallel()
	files := map[string]string{"a": "1", "b/c": "2", "b.d": "3", "x*": "4"}
	first, second := write(t, files), write(t, files)
	old := time.Unix(1e9, 0)
	if err := os.Chtimes(filepath.Join(second, "a"), old, old); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(second, "a"), 0o444); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(second, "empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	one, err := content.Build(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	two, err := content.Build(t.Context(), second)
	if err != nil {
		t.Fatal(err)
	}
	if one.Digest != two.Digest || !bytes.Equal(one.Data, two.Data) {
		t.Errorf("digests %s and %s", one.Digest, two.Digest)
	}
	// Fixed once and for all: stored bundles keep their names.
	if want := "5414629a1013c77b709a8c0b62f4acbbc15274ec0c70615c85f1fcf3552b9f10"; one.Digest != want {
		t.Errorf("digest %s, want %s", one.Digest, want)
	}
	for name, change := range map[string]map[string]string{
		"content": {"a": "2"}, "mode": {"a*": "1"}, "name": {"A": "1"}, "link": {"a": "-> x"},
	} {
		changed := map[string]string{"b/c": "2", "b.d": "3", "x*": "4"}
		maps.Copy(changed, change)
		other, err := content.Build(t.Context(), write(t, changed))
		if err != nil {
			t.Fatal(err)
		}
		if other.Digest == one.Digest {
			t.Errorf("another %s gives the same digest", name)
		}
	}
}

func TestBuildRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		files map[string]string
		want  string
	}{
		"link to outside":    {map[string]string{"a/l": "-> ../../etc/passwd"}, "a/l is a link to ../../etc/passwd"},
		"absolute link":      {map[string]string{"a/l": "-> /etc/passwd"}, "a/l is a link to /etc/passwd"},
		"dangling link":      {map[string]string{"l": "-> nothing"}, "l is a link to nothing"},
		"link in a circle":   {map[string]string{"l": "-> l"}, "l is a link to l"},
		"link to skipped":    {map[string]string{"l": "-> .git/HEAD", ".git/HEAD": "x"}, "l is a link to .git/HEAD"},
		"link out by a link": {map[string]string{"a/b/top": "-> ../..", "l": "-> a/b/top/..", "a/x": ""}, "l is a link to a/b/top/.."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := write(t, tc.files)
			_, err := content.Build(t.Context(), dir)
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), "bundling "+dir) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
}

func TestBuildRefusesSpecialFiles(t *testing.T) {
	t.Parallel()
	// A short directory: the name of a socket has its limit.
	dir, err := os.MkdirTemp("", "bundle") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, "agent.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err = content.Build(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "agent.sock is a socket") {
		t.Errorf("error %v", err)
	}
}

func TestBuildCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := content.Build(ctx, write(t, map[string]string{"a": "1"})); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// bundle packs entries as they are; it gives the data and its digest.
func bundle(t *testing.T, entries ...tar.Header) (*bytes.Reader, string) {
	t.Helper()
	var buf bytes.Buffer
	zip := gzip.NewWriter(&buf)
	sum := sha256.New()
	w := tar.NewWriter(io.MultiWriter(zip, sum))
	for _, h := range entries {
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := io.CopyN(w, zeros{}, h.Size); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(w.Close(), zip.Close()); err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(buf.Bytes()), hex.EncodeToString(sum.Sum(nil))
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestUnpackRefuses(t *testing.T) {
	t.Parallel()
	reg := func(name string) tar.Header { return tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644} }
	link := func(name, to string) tar.Header {
		return tar.Header{Name: name, Linkname: to, Typeflag: tar.TypeSymlink}
	}
	for name, tc := range map[string]struct {
		entries []tar.Header
		want    string
	}{
		"traversal":          {[]tar.Header{reg("../evil")}, `"../evil" is not a name`},
		"traversal inside":   {[]tar.Header{reg("a/../../evil")}, "is not a name"},
		"absolute":           {[]tar.Header{reg("/evil")}, "is not a name"},
		"empty":              {[]tar.Header{reg("")}, "is not a name"},
		"dot":                {[]tar.Header{reg(".")}, "is not a name"},
		"version control":    {[]tar.Header{reg("a/.git")}, "is not a name"},
		"link out":           {[]tar.Header{link("l", "../..")}, "l is a link out"},
		"absolute link":      {[]tar.Header{link("l", "/etc/passwd")}, "l is a link out"},
		"dangling link":      {[]tar.Header{link("l", "nothing")}, "l is a link out"},
		"write through link": {[]tar.Header{link("l", "/tmp"), reg("l/evil")}, "l/evil"},
		"write up a link":    {[]tar.Header{link("l", ".."), reg("l/evil")}, "l/evil"},
		"hard link":          {[]tar.Header{{Name: "h", Linkname: "/etc/passwd", Typeflag: tar.TypeLink}}, "only files and links"},
		"device":             {[]tar.Header{{Name: "d", Typeflag: tar.TypeBlock}}, "only files and links"},
		"pipe":               {[]tar.Header{{Name: "p", Typeflag: tar.TypeFifo}}, "only files and links"},
		"directory":          {[]tar.Header{{Name: "d", Typeflag: tar.TypeDir}}, "only files and links"},
		"twice":              {[]tar.Header{reg("a"), reg("a")}, "exists"},
		"file as directory":  {[]tar.Header{reg("a"), reg("a/b")}, "a/b"},
		"too large": {[]tar.Header{
			{Name: "a", Typeflag: tar.TypeReg, Size: content.MaxBytes}, {Name: "b", Typeflag: tar.TypeReg, Size: 1},
		}, "b makes the content larger"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, digest := bundle(t, tc.entries...)
			parent := t.TempDir()
			cache := filepath.Join(parent, "cache")
			dir, err := content.Unpack(t.Context(), data, digest, cache)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("unpacked into %q, error %v; want %q", dir, err, tc.want)
			}
			checkEmpty(t, cache)
			if list, _ := os.ReadDir(parent); len(list) != 1 {
				t.Errorf("beside the cache there is %v", list)
			}
		})
	}
}

func checkEmpty(t *testing.T, dir string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil || len(list) != 0 {
		t.Errorf("the cache holds %v, error %v", list, err)
	}
}

func TestUnpackRefusesData(t *testing.T) {
	t.Parallel()
	b, err := content.Build(t.Context(), write(t, map[string]string{"a": "1"}))
	if err != nil {
		t.Fatal(err)
	}
	other := strings.Repeat("0", 64)
	bomb := func() []byte {
		var buf bytes.Buffer
		zip := gzip.NewWriter(&buf)
		_, _ = zip.Write(gunzip(t, b.Data))
		_, _ = io.CopyN(zip, zeros{}, content.MaxBytes+content.MaxFiles*4096)
		_ = zip.Close()
		return buf.Bytes()
	}
	for name, tc := range map[string]struct {
		data   []byte
		digest string
		want   string
	}{
		"another bundle":   {b.Data, other, "digest does not match"},
		"cut off":          {b.Data[:len(b.Data)-10], b.Digest, "unexpected EOF"},
		"not compressed":   {[]byte("hello, world"), b.Digest, "reading the compressed data"},
		"nothing":          {nil, b.Digest, "reading the compressed data"},
		"bomb":             {bomb(), b.Digest, "archive is larger"},
		"bad digest":       {b.Data, "../../etc", "is not a SHA-256"},
		"upper-case":       {b.Data, strings.Repeat("A", 64), "is not a SHA-256"},
		"digest too short": {b.Data, b.Digest[:62], "is not a SHA-256"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cache := t.TempDir()
			_, err := content.Unpack(t.Context(), bytes.NewReader(tc.data), tc.digest, cache)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
			if (tc.digest == other) != errors.Is(err, content.ErrDigest) {
				t.Errorf("error %v and ErrDigest", err)
			}
			checkEmpty(t, cache)
		})
	}
}

func gunzip(t *testing.T, data []byte) []byte {
	t.Helper()
	zip, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(zip)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestUnpackConcurrently(t *testing.T) {
	t.Parallel()
	b, err := content.Build(t.Context(), write(t, map[string]string{"a": "1", "b/c": "2"}))
	if err != nil {
		t.Fatal(err)
	}
	cache := t.TempDir()
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() {
			var dir string
			dir, errs[i] = content.Unpack(t.Context(), bytes.NewReader(b.Data), b.Digest, cache)
			if errs[i] == nil {
				_, errs[i] = os.Stat(filepath.Join(dir, "b/c"))
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	list, err := os.ReadDir(cache)
	if err != nil || len(list) != 1 || list[0].Name() != b.Digest {
		t.Errorf("the cache holds %v, error %v", list, err)
	}
}
