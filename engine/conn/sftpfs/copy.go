package sftpfs

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/files"
)

// copyScript is started with the path of a file and that of one to fill.
const copyScript = `exec cat <"$1" >"$2"`

// Copy implements [files.System]: the host copies, nothing crosses the network.
func (s *System) Copy(ctx context.Context, from, to string, a files.Attr) error {
	var source *call
	var size int64
	err := s.replace(ctx, to, a, replacement{
		ask: func(f *flight) { source = f.stat(from, true) },
		check: func(ctx context.Context, c *client) error {
			a, err := c.wait(ctx, source)
			if err == nil && !a.info.Mode.IsRegular() {
				err = fmt.Errorf("the source is not a regular file: %w", fs.ErrInvalid)
			}
			size = a.info.Size
			return err
		},
		fill: func(ctx context.Context, t *temporary) error {
			if t.c.offers[extCopy] {
				return t.copy(ctx, from)
			}
			err := s.command(ctx, "/bin/sh", "-c", copyScript, "jet", from, t.path)
			if err == nil {
				_, err = t.stream(ctx, noContent{})
			}
			return err
		},
	})
	if err == nil {
		s.remember(to, conn.FileInfo{Size: size})
	} else {
		s.forget(to)
	}
	return err
}

// noContent leaves a file as it is.
type noContent struct{}

func (noContent) Read([]byte) (int, error) { return 0, io.EOF }

// copy fills t with the content of a file of the host, and finishes it.
func (t *temporary) copy(ctx context.Context, from string) error {
	f := t.c.flight()
	open := f.open(from, openRead)
	if err := f.send(ctx); err != nil {
		return err
	}
	src, err := t.c.wait(ctx, open)
	if err != nil {
		return err
	}
	f = t.c.flight()
	q := f.begin(typeExtended, typeStatus)
	f.text(extCopy)
	f.text(src.handle)
	f.buf = binary.BigEndian.AppendUint64(f.buf, 0) // from the beginning
	f.buf = binary.BigEndian.AppendUint64(f.buf, 0) // to the end
	f.text(t.handle)
	f.buf = binary.BigEndian.AppendUint64(f.buf, 0)
	f.end(q)
	own := t.finish(f)
	f.leave(src.handle)
	if err := f.send(ctx); err != nil {
		t.c.leave(src.handle)
		return err
	}
	t.handle = ""
	return t.complete(ctx, f.calls, own)
}
