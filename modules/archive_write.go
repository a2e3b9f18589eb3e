package modules

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/mholt/archives"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// packer writes archives of files of a host.
type packer struct {
	conn   conn.Conn
	format archiveFormat
}

// packWriter is where the files of an archive go.
type packWriter interface {
	// add begins a file, and returns where its content goes.
	add(e packEntry) (io.Writer, error)
	Close() error
}

// pack writes an archive of the entries.
func (p packer) pack(ctx context.Context, to io.Writer, entries []packEntry) error {
	if p.format == "zip" {
		return p.fill(ctx, zipPack{zip.NewWriter(to)}, entries)
	}
	var compressor archives.Compressor
	switch p.format {
	case "tar":
		return p.fill(ctx, tarPack{tar.NewWriter(to)}, entries)
	case "tar.gz":
		compressor = archives.Gz{}
	case "tar.bz2":
		compressor = archives.Bz2{}
	case "tar.xz":
		compressor = archives.Xz{}
	case "tar.zst":
		compressor = archives.Zstd{}
	default:
		return fmt.Errorf("there is no format %q", p.format)
	}
	compressed, err := compressor.OpenWriter(to)
	if err != nil {
		return err
	}
	err = p.fill(ctx, tarPack{tar.NewWriter(compressed)}, entries)
	// Closed in any case: it may have goroutines of its own.
	return cmp.Or(err, compressed.Close())
}

// ahead is how many small files are read at a time.
const ahead = 64

// fill writes the entries and the end of the archive. Small files are read several
// at a time.
func (p packer) fill(ctx context.Context, w packWriter, entries []packEntry) error {
	for len(entries) > 0 {
		some := entries[:min(len(entries), ahead)]
		entries = entries[len(some):]
		held := make([][]byte, len(some))
		err := inParallel(ctx, len(some), func(ctx context.Context, i int) error {
			if !some[i].info.Mode.IsRegular() || some[i].info.Size > smallFile {
				return nil
			}
			found, err := p.conn.Inspect(ctx, some[i].path, conn.Look{NoFollow: true, Content: smallFile})
			held[i] = found.Content
			if err == nil && held[i] == nil {
				err = errChanged(some[i].path)
			}
			return err
		})
		if err != nil {
			return err
		}
		for i, e := range some {
			if err := p.put(ctx, w, e, held[i]); err != nil {
				return err
			}
		}
	}
	return w.Close()
}

func errChanged(name string) error {
	return fmt.Errorf("%s changed while it was read; archive it when nothing writes to it", name)
}

// put writes one entry, whose content is held already, or is read now if it is nil.
func (p packer) put(ctx context.Context, w packWriter, e packEntry, held []byte) error {
	to, err := w.add(e)
	if err != nil || !e.info.Mode.IsRegular() {
		return err
	}
	from := io.Reader(bytes.NewReader(held))
	if held == nil {
		r, err := p.conn.Open(ctx, e.path)
		if err != nil {
			return err
		}
		defer func() { _ = r.Close() }()
		from = untilDone(ctx, r)
	}
	// What a file has grown by is left out: that is how a log is archived.
	_, err = io.CopyN(to, from, e.info.Size)
	if errors.Is(err, io.EOF) {
		return errChanged(e.path)
	}
	return err
}

// tarPack writes a tar archive.
type tarPack struct{ *tar.Writer }

func (t tarPack) add(e packEntry) (io.Writer, error) {
	h := &tar.Header{
		Typeflag: tar.TypeReg, Name: e.name, Size: e.info.Size, Linkname: e.target, Mode: int64(conn.PermBits(e.info.Mode)),
		Uid: e.info.UID, Gid: e.info.GID, Uname: e.info.Owner, Gname: e.info.Group,
		// A part of a second would take a record of its own for every file.
		ModTime: e.info.ModTime.Truncate(time.Second),
	}
	switch e.info.Mode.Type() {
	case fs.ModeDir:
		h.Typeflag, h.Size = tar.TypeDir, 0
		h.Name += "/"
	case fs.ModeSymlink:
		h.Typeflag, h.Size = tar.TypeSymlink, 0
	}
	return t.Writer, t.WriteHeader(h)
}

// zipPack writes a zip file.
type zipPack struct{ *zip.Writer }

func (z zipPack) add(e packEntry) (io.Writer, error) {
	h := &zip.FileHeader{Name: e.name, Method: zip.Deflate, Modified: e.info.ModTime}
	h.SetMode(e.info.Mode)
	if e.info.Mode.IsDir() {
		h.Name += "/"
		h.Method = zip.Store
	}
	w, err := z.CreateHeader(h)
	if err == nil && e.target != "" {
		_, err = io.Copy(w, strings.NewReader(e.target))
	}
	return w, err
}
