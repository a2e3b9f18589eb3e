package sftpfs

import (
	"bufio"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/pkg/sftp"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/files"
)

const (
	// packetSize is the data that one packet carries.
	packetSize = 32 << 10
	// inFlight is how many packets are sent ahead of their answers.
	inFlight = 64
)

// Open implements [files.System].
func (s *System) Open(ctx context.Context, path string) (io.ReadCloser, error) {
	f, err := call(ctx, s.session, func(c *sftp.Client) (*sftp.File, error) { return c.Open(path) })
	if err != nil {
		return nil, s.looped(ctx, path, err)
	}
	return &source{
		f:     f,
		await: func(do func() (int64, error)) (int64, error) { return await(ctx, do) },
	}, nil
}

// source is a file open for reading.
type source struct {
	f *sftp.File
	// await bounds a read by the context the file was opened with.
	await func(func() (int64, error)) (int64, error)
}

// Read implements [io.Reader]. A read that is given up must not touch p later,
// so it has a buffer of its own.
func (r *source) Read(p []byte) (int, error) {
	buf := make([]byte, min(len(p), packetSize))
	end := false
	n, err := r.await(func() (int64, error) {
		n, err := r.f.Read(buf)
		if errors.Is(err, io.EOF) {
			end, err = true, nil
		}
		return int64(n), err
	})
	if err != nil {
		return 0, err
	}
	copy(p, buf[:n])
	if end {
		return int(n), io.EOF
	}
	return int(n), nil
}

// WriteTo implements [io.WriterTo]: many packets are asked for at a time.
func (r *source) WriteTo(w io.Writer) (int64, error) {
	g := &gate{w: w}
	defer g.shut()
	return r.await(func() (int64, error) { return r.f.WriteTo(g) })
}

// Close implements [io.Closer].
func (r *source) Close() error {
	_, err := r.await(func() (int64, error) { return 0, r.f.Close() })
	return err
}

// gate keeps a copy that was given up from writing to w later.
type gate struct {
	mu sync.Mutex
	w  io.Writer
}

func (g *gate) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.w == nil {
		return 0, io.ErrClosedPipe
	}
	return g.w.Write(p)
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.w = nil
}

// Create implements [files.System].
func (s *System) Create(ctx context.Context, path string) (files.File, error) {
	f, err := call(ctx, s.session, func(c *sftp.Client) (*sftp.File, error) {
		return c.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	})
	if err != nil {
		return nil, s.explain(ctx, path, s.exists(ctx, path, err))
	}
	return &file{f: f, path: path, sys: s}, nil
}

// Fill implements [files.System]: the host copies, nothing crosses the network.
func (s *System) Fill(ctx context.Context, to files.File, from string) error {
	err := s.command(ctx, "/bin/sh", "-c", `exec cat <"$1" >"$2"`, "jet", from, to.Path())
	if err == nil || ctx.Err() != nil || errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	r, err := s.Open(ctx, from)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	return to.Write(ctx, r)
}

// file is a file being written.
type file struct {
	f    *sftp.File
	path string
	sys  *System
}

// Path implements [files.File].
func (f *file) Path() string { return f.path }

// Write implements [files.File]. Content that fits into one packet costs one
// round trip and no goroutines; the rest is sent without waiting for answers.
func (f *file) Write(ctx context.Context, r io.Reader) error {
	done := make(chan error, 1)
	go func() { done <- f.send(files.Reader(ctx, r)) }()
	select {
	case err := <-done:
		return f.sys.explain(ctx, f.path, plain(err))
	case <-ctx.Done():
	}
	// The reader sees the end of the context as well. One that is stuck in a
	// read of its own, or a lost connection, is not waited for.
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-done: //nolint:errcheck // the context's end is what counts now
	case <-late.C:
	}
	return context.Cause(ctx)
}

func (f *file) send(r io.Reader) error {
	br := bufio.NewReaderSize(r, packetSize+1)
	head, err := br.Peek(packetSize + 1)
	if err != nil && err != io.EOF { //nolint:errorlint // Peek's own contract
		return err
	}
	if err == nil {
		_, err = f.f.ReadFromWithConcurrency(br, inFlight)
		return err
	}
	if len(head) == 0 {
		return nil
	}
	_, err = f.f.Write(head)
	return err
}

// Stat implements [files.File].
func (f *file) Stat(ctx context.Context) (conn.FileInfo, error) {
	fi, err := await(ctx, f.f.Stat)
	if err != nil {
		return conn.FileInfo{}, err
	}
	return info(fi), nil
}

// Chmod implements [files.File].
func (f *file) Chmod(ctx context.Context, mode fs.FileMode) error {
	return awaitErr(ctx, func() error { return f.f.Chmod(mode) })
}

// Chown implements [files.File].
func (f *file) Chown(ctx context.Context, uid, gid int) error {
	return awaitErr(ctx, func() error { return f.f.Chown(uid, gid) })
}

// Sync implements [files.File]. Servers without the call are taken as they are.
func (f *file) Sync(ctx context.Context) error {
	err := f.sys.do(ctx, func(c *sftp.Client) error {
		if _, ok := c.HasExtension("fsync@openssh.com"); !ok {
			return nil
		}
		return f.f.Sync()
	})
	return f.sys.explain(ctx, f.path, err)
}

// Close implements [files.File].
func (f *file) Close(ctx context.Context) error {
	return f.sys.explain(ctx, f.path, awaitErr(ctx, f.f.Close))
}
