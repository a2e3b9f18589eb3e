package files

import (
	"context"
	"fmt"
	"io/fs"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// Stat implements [conn.Conn].
func (f *FS) Stat(ctx context.Context, name string) (conn.FileInfo, error) {
	return f.info(ctx, "stat", name, true)
}

// Lstat implements [conn.Conn].
func (f *FS) Lstat(ctx context.Context, name string) (conn.FileInfo, error) {
	return f.info(ctx, "lstat", name, false)
}

func (f *FS) info(ctx context.Context, op, name string, follow bool) (conn.FileInfo, error) {
	err := check(ctx, name)
	var fi conn.FileInfo
	if err == nil {
		fi, err = f.sys.Stat(ctx, name, follow)
	}
	if err == nil {
		err = f.names.Fill(ctx, &fi, f.namer)
	}
	if err != nil {
		return conn.FileInfo{}, fail(op, name, err)
	}
	return fi, nil
}

// Inspect implements [conn.Conn].
func (f *FS) Inspect(ctx context.Context, name string, l conn.Look) (conn.Inspection, error) {
	err := check(ctx, name)
	var found conn.Inspection
	if err == nil {
		found, err = f.sys.Inspect(ctx, name, l)
	}
	if err == nil {
		err = f.names.Fill(ctx, &found.FileInfo, f.namer)
	}
	if err != nil {
		return conn.Inspection{}, fail("inspect", name, err)
	}
	return found, nil
}

// Checksum implements [conn.Conn].
func (f *FS) Checksum(ctx context.Context, name string) ([]byte, error) {
	err := check(ctx, name)
	var found conn.Inspection
	if err == nil {
		found, err = f.sys.Inspect(ctx, name, conn.Look{Sum: true, Size: -1})
	}
	if err == nil && found.Sum == nil {
		err = fmt.Errorf("it is no regular file: %w", fs.ErrInvalid)
	}
	if err != nil {
		return nil, fail("checksum", name, err)
	}
	return found.Sum, nil
}
