package content

import (
	"archive/tar"
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
)

// maxArchive bounds the tar archive: content, and per file a header, its
// padding, and an extended header for a long name.
const maxArchive = MaxBytes + MaxFiles*4096

// ErrDigest is in the error of [Unpack] and [Fetch] if the data is not the
// bundle asked for.
var ErrDigest = errors.New("digest does not match")

// Unpack unpacks a bundle's data below cacheDir, in the directory named digest,
// and returns that directory. If it is there already it is returned, and data
// not read. The directory appears at once and complete, or not at all; any
// number of callers may unpack the same bundle at the same time.
//
// The data is not trusted: it must have the digest, stay within the limits of
// [Build], and hold nothing that Build does not make. Files below the directory
// are shared by all jobs pinned to the digest and must not be changed.
func Unpack(ctx context.Context, data io.Reader, digest, cacheDir string) (string, error) {
	dir, ok, err := cached(digest, cacheDir)
	if err != nil || ok {
		return dir, err
	}
	if err := os.MkdirAll(cacheDir, 0o700); err != nil {
		return "", fmt.Errorf("making the content cache: %w", err)
	}
	tmp, err := os.MkdirTemp(cacheDir, ".unpack-*")
	if err != nil {
		return "", fmt.Errorf("unpacking bundle %s: %w", digest, err)
	}
	defer os.RemoveAll(tmp) //nolint:errcheck // nothing is lost if it stays
	if err := unpackInto(ctx, data, digest, tmp); err != nil {
		return "", fmt.Errorf("unpacking bundle %s: %w", digest, err)
	}
	err = os.Rename(tmp, dir)
	if err == nil {
		return dir, nil
	}
	if _, ok, _ := cached(digest, cacheDir); ok {
		return dir, nil // another caller was faster
	}
	return "", fmt.Errorf("unpacking bundle %s: %w", digest, err)
}

// cached returns where the bundle called digest is unpacked, and whether it is.
func cached(digest, cacheDir string) (string, bool, error) {
	if raw, err := hex.DecodeString(digest); err != nil || len(raw) != sha256.Size || hex.EncodeToString(raw) != digest {
		return "", false, fmt.Errorf("bundle name %q is not a SHA-256 in lower-case hex", digest)
	}
	dir := filepath.Join(cacheDir, digest)
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return dir, false, nil
	case err != nil:
		return "", false, fmt.Errorf("looking for bundle %s: %w", digest, err)
	case !info.IsDir():
		return "", false, fmt.Errorf("looking for bundle %s: %s is not a directory", digest, dir)
	}
	return dir, true, nil
}

func unpackInto(ctx context.Context, data io.Reader, digest, dir string) error {
	zip, err := gzip.NewReader(data)
	if err != nil {
		return fmt.Errorf("reading the compressed data: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // the files are closed and flushed
	sum := sha256.New()
	limited := &io.LimitedReader{R: zip, N: maxArchive + 1}
	stream := io.TeeReader(limited, sum)
	if err := extract(ctx, root, stream); err != nil {
		if limited.N <= 0 {
			return fmt.Errorf("archive is larger than %d bytes", int64(maxArchive))
		}
		return err
	}
	// What follows the archive's end counts for the digest too.
	if _, err := io.Copy(io.Discard, stream); err != nil {
		return fmt.Errorf("reading the compressed data: %w", err)
	}
	if limited.N <= 0 {
		return fmt.Errorf("archive is larger than %d bytes", int64(maxArchive))
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != digest {
		return fmt.Errorf("%w: data is that of %s", ErrDigest, got)
	}
	return flush(dir)
}

// extract unpacks the archive below root.
func extract(ctx context.Context, root *os.Root, stream io.Reader) error {
	archive := tar.NewReader(stream)
	var links []string
	var total int64
	for count := 0; ; count++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("reading the archive: %w", err)
		}
		if count == MaxFiles {
			return fmt.Errorf("archive holds more than %d files", MaxFiles)
		}
		if total += h.Size; h.Size < 0 || total > MaxBytes {
			return fmt.Errorf("%s makes the content larger than %d MiB", h.Name, MaxBytes>>20)
		}
		if !fs.ValidPath(h.Name) || h.Name == "." || skipped(path.Base(h.Name)) {
			return fmt.Errorf("%q is not a name that a bundle holds", h.Name)
		}
		if err := extractOne(root, archive, h); err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
		if h.Typeflag == tar.TypeSymlink {
			links = append(links, h.Name)
		}
	}
	for _, name := range links {
		if _, err := root.Stat(name); err != nil {
			return fmt.Errorf("%s is a link out of the bundle or to nothing: %w", name, cause(err))
		}
	}
	return nil
}

// extractOne makes one file or link. The root keeps it inside, whatever links
// the archive made before.
func extractOne(root *os.Root, archive *tar.Reader, h *tar.Header) error {
	if dir := path.Dir(h.Name); dir != "." {
		if err := root.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	switch h.Typeflag {
	case tar.TypeSymlink:
		return root.Symlink(h.Linkname, h.Name)
	case tar.TypeReg:
	default:
		return fmt.Errorf("entry of type %q, a bundle holds only files and links", h.Typeflag)
	}
	mode := fs.FileMode(0o644)
	if h.Mode&0o111 != 0 {
		mode = 0o755
	}
	out, err := root.OpenFile(h.Name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.CopyN(out, archive, h.Size)
	return errors.Join(err, out.Chmod(mode), out.Close())
}
