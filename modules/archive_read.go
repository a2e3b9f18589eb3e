package modules

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/mholt/archives"
)

const (
	// maxEntries is how many files an archive may hold.
	maxEntries = 200_000
	// entryRoom is what the description of one file may take in an archive, in
	// bytes, besides its content.
	entryRoom = 4096
	// maxName is how long one part of a path may be, as on all usual file systems.
	maxName = 255
)

// archive is an archive, or a compressed file, on this machine. It is read more
// than once.
type archive struct {
	file *os.File
	// unpacker is nil for a file that is compressed and no archive; single is
	// that file's name then.
	unpacker archives.Extractor
	single   string
	// expander is nil when nothing is compressed as a whole.
	expander archives.Decompressor
	// limit is how much it may expand to, in bytes.
	limit int64
	// strip is how many leading parts are cut off every path in it.
	strip int
}

// entry is one file of an archive.
type entry struct {
	// number counts the entries of the archive, from 0.
	number int
	// path is relative, clean, and leads nowhere out of where it is unpacked.
	path string
	// mode holds the type and the permission bits.
	mode fs.FileMode
	size int64
	// target is what a symbolic link says.
	target string
	// copyOf is the path of the entry that a hard link is another name of.
	copyOf string
}

// magics are how the formats begin.
var (
	magicGzip  = []byte{0x1f, 0x8b}
	magicBzip2 = []byte("BZh")
	magicXz    = []byte{0xfd, '7', 'z', 'X', 'Z', 0}
	magicZstd  = []byte{0x28, 0xb5, 0x2f, 0xfd}
	magicZip   = []byte("PK\x03\x04")
	magicEmpty = []byte("PK\x05\x06") // a zip file with nothing in it
)

// newArchive finds out the format of a file by its content. name is what it is
// called where it comes from.
func newArchive(f *os.File, name string, limit int64, strip int) (*archive, error) {
	a := &archive{file: f, limit: limit, strip: strip}
	head := make([]byte, 512)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	head = head[:n]
	begins := func(magic []byte) bool { return bytes.HasPrefix(head, magic) }
	switch {
	case begins(magicZip) || begins(magicEmpty):
		a.unpacker = archives.Zip{}
		return a, nil
	case begins(magicGzip):
		a.expander = archives.Gz{}
	case begins(magicBzip2):
		a.expander = archives.Bz2{}
	case begins(magicXz):
		a.expander = archives.Xz{}
	case begins(magicZstd):
		a.expander = archives.Zstd{}
	}
	isTar, err := a.holdsTar()
	switch {
	case err != nil:
		return nil, err
	case isTar:
		a.unpacker = archives.Tar{}
	case a.expander == nil:
		return nil, errors.New("it is none of the formats tar, zip, gz, bz2, xz and zst")
	default:
		a.single = singleName(name)
	}
	return a, nil
}

// singleName returns the name of a compressed file without its ending.
func singleName(name string) string {
	base := path.Base(name)
	for _, end := range []string{".gz", ".bz2", ".xz", ".zst"} {
		if cut, ok := strings.CutSuffix(base, end); ok && cut != "" {
			return cut
		}
	}
	return base
}

// holdsTar tells whether what is expanded begins as a tar archive does.
func (a *archive) holdsTar() (bool, error) {
	r, err := a.expand()
	if err != nil {
		return false, err
	}
	defer func() { _ = r.Close() }()
	head := make([]byte, 1024)
	n, err := io.ReadFull(r, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, err
	}
	if n == len(head) && bytes.Count(head, []byte{0}) == n {
		return true, nil // an archive with nothing in it
	}
	if n < 512 {
		return false, nil
	}
	// The header of one file, checked by its sum. Long names have more to them.
	_, err = tar.NewReader(bytes.NewReader(head[:512])).Next()
	return err == nil || bytes.HasPrefix(head[257:], []byte("ustar")), nil
}

// errTooMuch means that an archive expands to more than its limit.
var errTooMuch = errors.New("it expands to more than max_size allows")

// expand returns the content without its compression, from the beginning.
func (a *archive) expand() (io.ReadCloser, error) {
	if _, err := a.file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	r := io.NopCloser(a.file)
	if a.expander != nil {
		var err error
		if r, err = a.expander.OpenReader(a.file); err != nil {
			return nil, err
		}
	}
	left := a.limit + maxEntries*entryRoom
	if a.single != "" {
		left = a.limit
	}
	capped := readerFunc(func(p []byte) (int, error) {
		n, err := r.Read(p)
		if left -= int64(n); left < 0 {
			return 0, errTooMuch
		}
		return n, err
	})
	return struct {
		io.Reader
		io.Closer
	}{capped, r}, nil
}

// each calls f for every entry, in the archive's order, those that strip leaves
// nothing of aside. open may be called once, before f returns.
func (a *archive) each(ctx context.Context, f func(e entry, open func() (io.ReadCloser, error)) error) error {
	if a.unpacker == nil {
		return a.one(ctx, f)
	}
	var r io.Reader = a.file
	if _, zip := a.unpacker.(archives.Zip); !zip {
		expanded, err := a.expand()
		if err != nil {
			return err
		}
		defer func() { _ = expanded.Close() }()
		r = untilDone(ctx, expanded)
	}
	number := -1
	var fault error
	err := a.unpacker.Extract(ctx, r, func(_ context.Context, info archives.FileInfo) error {
		if number++; number >= maxEntries {
			fault = fmt.Errorf("it holds more than %d files", maxEntries)
			return fs.SkipAll
		}
		e, err := a.entry(info)
		e.number = number
		if err == nil && e.path != "" {
			err = f(e, func() (io.ReadCloser, error) { return info.Open() })
		}
		if err != nil {
			fault = err // the library would say which entry, once more
			return fs.SkipAll
		}
		return nil
	})
	if err == nil {
		err = fault
	}
	if err == nil && r != io.Reader(a.file) {
		_, err = io.Copy(io.Discard, r) // checks sums that come at the end
	}
	return err
}

// one is each for a compressed file that is no archive.
func (a *archive) one(ctx context.Context, f func(e entry, open func() (io.ReadCloser, error)) error) error {
	r, err := a.expand()
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	return f(entry{path: a.single, mode: 0o644, size: -1}, func() (io.ReadCloser, error) {
		return io.NopCloser(untilDone(ctx, r)), nil
	})
}

// entry describes an entry, with an empty path when strip leaves nothing of it.
func (a *archive) entry(info archives.FileInfo) (entry, error) {
	name, err := cleanName(info.NameInArchive)
	if err != nil {
		return entry{}, err
	}
	e := entry{path: a.stripped(name), mode: info.Mode() & (fs.ModeType | fs.ModePerm), size: info.Size()}
	if e.path == "" {
		return entry{}, nil
	}
	if h, ok := info.Header.(*tar.Header); ok {
		switch h.Typeflag {
		case tar.TypeLink:
			target, err := cleanName(h.Linkname)
			if err != nil {
				return entry{}, fmt.Errorf("%q is a hard link: %w", name, err)
			}
			e.mode, e.size, e.copyOf = e.mode.Perm(), 0, a.stripped(target)
			return e, nil
		case tar.TypeReg, tar.TypeDir, tar.TypeSymlink, tar.TypeGNUSparse, tar.TypeCont:
		default:
			return entry{}, fmt.Errorf("%q is neither a file, a directory nor a link", name)
		}
	}
	switch e.mode.Type() {
	case 0:
		if e.size < 0 {
			return entry{}, fmt.Errorf("%q has no size", name)
		}
	case fs.ModeDir:
		e.size = 0
	case fs.ModeSymlink:
		e.target, e.size = info.LinkTarget, 0
	default:
		return entry{}, fmt.Errorf("%q is neither a file, a directory nor a link", name)
	}
	return e, nil
}

// cleanName refuses names that lead elsewhere. The top itself is empty.
func cleanName(name string) (string, error) {
	switch {
	case strings.HasPrefix(name, "/"):
		return "", fmt.Errorf("%q is an absolute path", name)
	case strings.ContainsRune(name, 0):
		return "", fmt.Errorf("%q holds a NUL byte", name)
	}
	for part := range strings.SplitSeq(name, "/") {
		switch {
		case part == "..":
			return "", fmt.Errorf("%q leads out of dest", name)
		case len(part) > maxName:
			return "", fmt.Errorf("%q is too long a name", part[:20]+"…")
		}
	}
	if name = path.Clean(name); name == "." {
		return "", nil
	}
	return name, nil
}

// stripped cuts leading parts off.
func (a *archive) stripped(name string) string {
	for range a.strip {
		_, rest, _ := strings.Cut(name, "/")
		name = rest
	}
	return name
}
