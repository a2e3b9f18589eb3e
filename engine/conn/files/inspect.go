package files

import (
	"context"
	"io"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// Inspect implements [conn.Conn].
func (f *FS) Inspect(ctx context.Context, name string, l conn.Look) (conn.Inspection, error) {
	look := f.Stat
	if l.NoFollow {
		look = f.Lstat
	}
	info, err := look(ctx, name)
	if err != nil || !info.Mode.IsRegular() {
		return conn.Inspection{FileInfo: info}, err
	}
	found := conn.Inspection{FileInfo: info}
	if l.Content > 0 && info.Size <= l.Content {
		r, err := f.Open(ctx, name)
		if err != nil {
			return conn.Inspection{}, err
		}
		found.Content, err = io.ReadAll(io.LimitReader(r, l.Content+1))
		if cerr := r.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			return conn.Inspection{}, fail("read", name, err)
		}
		if int64(len(found.Content)) > l.Content {
			found.Content = nil // it grew
		}
	}
	if l.Sum && (l.Size < 0 || l.Size == info.Size) {
		if found.Sum, err = f.Checksum(ctx, name); err != nil {
			return conn.Inspection{}, err
		}
	}
	return found, nil
}
