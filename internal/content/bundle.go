package content

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
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// What a bundle may hold at most.
const (
	MaxFiles = 10_000   // files and links
	MaxBytes = 64 << 20 // of their content together
)

// limits are the two, or smaller ones in tests.
type limits struct {
	files int
	bytes int64
}

// Bundle is a directory made into one piece.
type Bundle struct {
	// Digest is the SHA-256, in lower-case hex, of the tar archive before
	// compression. It is the bundle's name.
	Digest string
	// Data is the tar archive, compressed by gzip.
	Data []byte
	// Files counts the files and links in the bundle.
	Files int
	// Size is the number of bytes of their content.
	Size int64
}

// Build makes a bundle of the files below dir. It leaves out what version
// control and editors leave behind, and empty directories; modes become 0644 or
// 0755, times and owners are dropped. A symbolic link must lead to something in
// the bundle. Anything else (sockets, devices, links out, too much) is an error
// that names the file.
func Build(ctx context.Context, dir string) (Bundle, error) {
	b, err := build(ctx, dir)
	if err != nil {
		return Bundle{}, fmt.Errorf("bundling %s: %w", dir, err)
	}
	return b, nil
}

func build(ctx context.Context, dir string) (Bundle, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Bundle{}, err
	}
	defer root.Close() //nolint:errcheck // only read from
	files, size, err := list(ctx, root, limits{MaxFiles, MaxBytes})
	if err != nil {
		return Bundle{}, err
	}
	if err := checkLinks(dir, root, files); err != nil {
		return Bundle{}, err
	}
	var buf bytes.Buffer
	zip := gzip.NewWriter(&buf)
	sum := sha256.New()
	archive := tar.NewWriter(io.MultiWriter(sum, zip))
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return Bundle{}, err
		}
		if err := add(archive, root, f); err != nil {
			return Bundle{}, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	if err := errors.Join(archive.Close(), zip.Close()); err != nil {
		return Bundle{}, err
	}
	return Bundle{Digest: hex.EncodeToString(sum.Sum(nil)), Data: buf.Bytes(), Files: len(files), Size: size}, nil
}

// file is a file or a link below the directory.
type file struct {
	name string // slash-separated, relative
	mode fs.FileMode
	size int64  // of a regular file
	link string // target, of a link
}

// list returns the files to bundle in lexical order and their size together.
func list(ctx context.Context, root *os.Root, most limits) ([]file, int64, error) {
	var files []file
	var total int64
	err := fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if name != "." && skipped(d.Name()) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.IsDir() {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		f := file{name: name, mode: 0o644}
		switch {
		case info.Mode().IsRegular():
			f.size = info.Size()
			if info.Mode()&0o111 != 0 {
				f.mode = 0o755
			}
		case info.Mode().Type() == fs.ModeSymlink:
			f.mode |= fs.ModeSymlink
			if f.link, err = root.Readlink(name); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%s is a %s, only files, directories and links can be bundled", name, kind(info.Mode()))
		}
		files = append(files, f)
		total += f.size
		if len(files) > most.files {
			return fmt.Errorf("%s is one file too many, a bundle holds at most %d", name, most.files)
		}
		if total > most.bytes {
			return fmt.Errorf("%s (%d bytes) makes the bundle larger than %d bytes", name, f.size, most.bytes)
		}
		return nil
	})
	return files, total, err
}

// skipped reports whether a file or directory of this name stays out.
func skipped(name string) bool {
	switch name {
	case ".git", ".hg", ".svn", ".jj", ".DS_Store":
		return true
	}
	return strings.HasSuffix(name, "~") || strings.HasPrefix(name, ".#") ||
		(strings.HasPrefix(name, ".") && (strings.HasSuffix(name, ".swp") || strings.HasSuffix(name, ".swo")))
}

func kind(m fs.FileMode) string {
	switch {
	case m&fs.ModeSocket != 0:
		return "socket"
	case m&fs.ModeNamedPipe != 0:
		return "named pipe"
	case m&fs.ModeDevice != 0:
		return "device"
	}
	return "special file"
}

// checkLinks refuses links that would not lead to something in the bundle.
func checkLinks(dir string, root *os.Root, files []file) error {
	held := map[string]bool{".": true}
	for _, f := range files {
		for name := f.name; !held[name]; name = path.Dir(name) {
			held[name] = true
		}
	}
	top, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		if f.mode.Type() != fs.ModeSymlink {
			continue
		}
		// The root refuses every step that leaves it, also one that comes back.
		if _, err := root.Stat(f.name); err != nil {
			return fmt.Errorf("%s is a link to %s, which is not in the bundle: %w", f.name, f.link, cause(err))
		}
		target, err := filepath.EvalSymlinks(filepath.Join(top, filepath.FromSlash(f.name)))
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(top, target)
		if err != nil {
			return err
		}
		if !held[filepath.ToSlash(rel)] {
			return fmt.Errorf("%s is a link to %s, which is not in the bundle", f.name, f.link)
		}
	}
	return nil
}

// cause strips the operation and path that the caller has named already.
func cause(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}

// add writes one file to the archive.
func add(archive *tar.Writer, root *os.Root, f file) error {
	h := &tar.Header{Name: f.name, Mode: int64(f.mode.Perm()), ModTime: time.Unix(0, 0), Typeflag: tar.TypeReg, Size: f.size}
	if f.mode.Type() == fs.ModeSymlink {
		h.Typeflag, h.Linkname = tar.TypeSymlink, f.link
	}
	if err := archive.WriteHeader(h); err != nil {
		return err
	}
	if h.Typeflag == tar.TypeSymlink {
		return nil
	}
	in, err := root.Open(f.name)
	if err != nil {
		return cause(err)
	}
	defer in.Close() //nolint:errcheck // only read from
	n, err := io.Copy(archive, in)
	if errors.Is(err, tar.ErrWriteTooLong) || (err == nil && n < f.size) {
		return errors.New("it changed while it was read")
	}
	return err
}
