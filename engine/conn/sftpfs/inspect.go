package sftpfs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	pathpkg "path"
	"strconv"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/engine/conn"
)

const (
	// hashHere is the size up to which a file is read to be hashed: beyond it, one
	// command on the host is faster.
	hashHere = 256 << 10
	// farAway is the distance from which on a command that may turn out to have
	// been in vain is cheaper than waiting to know.
	farAway = 2 * time.Millisecond
	// maxPlain is how many files are remembered.
	maxPlain = 512
)

// Stat implements [files.System].
func (s *System) Stat(ctx context.Context, path string, follow bool) (conn.FileInfo, error) {
	found, err := s.Inspect(ctx, path, conn.Look{NoFollow: !follow})
	return found.FileInfo, err
}

// Inspect implements [files.System]. A file that is known to be a regular one is
// opened and read in the same flight that asks for its attributes. Any other is
// opened when these say that it may be: opening a FIFO stops the server until
// somebody writes to it, and opening a device can do anything.
func (s *System) Inspect(ctx context.Context, path string, l conn.Look) (conn.Inspection, error) {
	c, err := s.session.client(ctx)
	if err != nil {
		return conn.Inspection{}, err
	}
	size, plain := s.foreseen(path)
	var sum *remoteSum
	if l.Sum && max(l.Size, size) > hashHere && c.distance() >= farAway {
		only := l.Size
		if plain && size == only {
			only = -1 // what is printed is believed only if it still has that size
		}
		sum = s.startSum(ctx, path, only)
		defer sum.stop()
	}
	f := c.flight()
	stat := f.stat(path, !l.NoFollow)
	var lstat *call
	if !l.NoFollow {
		lstat = f.stat(path, false)
	}
	var src *source
	if plain && size <= hashHere && (l.Sum && (l.Size < 0 || l.Size == size) || l.Content > 0 && size <= l.Content) {
		src = f.openAhead(path, packets(size))
		defer func() { src.close(context.WithoutCancel(ctx)) }()
	}
	if err := f.send(ctx); err != nil {
		return conn.Inspection{}, err
	}
	a, err := c.wait(ctx, stat)
	if err != nil {
		return conn.Inspection{}, s.notThere(ctx, c, path, lstat, err)
	}
	found := conn.Inspection{FileInfo: a.info}
	s.remember(path, a.info)
	if !a.info.Mode.IsRegular() {
		return found, nil
	}
	content := l.Content > 0 && a.info.Size <= l.Content
	summed := l.Sum && (l.Size < 0 || l.Size == a.info.Size)
	if summed && !content && a.info.Size > hashHere {
		if sum == nil {
			sum = s.startSum(ctx, path, -1) // the size is known by now
			defer sum.stop()
		}
		if found.Sum, err = sum.wait(ctx); err != nil || found.Sum != nil {
			return found, err
		}
	}
	if !content && !summed {
		return found, nil
	}
	if src == nil {
		f := c.flight()
		src = f.openAhead(path, packets(min(a.info.Size, hashHere)))
		defer func() { src.close(context.WithoutCancel(ctx)) }()
		if err := f.send(ctx); err != nil {
			return conn.Inspection{}, err
		}
	}
	if err := src.opened(ctx); err != nil {
		return conn.Inspection{}, err
	}
	if err := src.inspect(ctx, &found, content, summed, l.Content); err != nil {
		return conn.Inspection{}, err
	}
	return found, nil
}

// packets is how many reads find the end of a file of that size.
func packets(size int64) int { return int(size/dataSize) + 2 }

// inspect reads a file for its content, its sum, or both.
func (s *source) inspect(ctx context.Context, found *conn.Inspection, content, summed bool, most int64) error {
	h := sha256.New()
	if content {
		found.Content = []byte{}
	}
	for {
		data, err := s.next(ctx)
		if err != nil && err != io.EOF { //nolint:errorlint // the package's own contract
			return err
		}
		if summed {
			h.Write(data)
		}
		if found.Content != nil {
			found.Content = append(found.Content, data...)
			if int64(len(found.Content)) > most {
				found.Content = nil // it grew
				if !summed {
					return nil
				}
			}
		}
		if err != nil {
			break
		}
	}
	if summed {
		found.Sum = h.Sum(nil)
	}
	return nil
}

// notThere finds out more about a file that could not be described; lstat, which
// may be nil, looked at the same path. OpenSSH has one code for all that makes a
// path lead nowhere, other servers have one for all that is not plainly missing.
func (s *System) notThere(ctx context.Context, c *client, path string, lstat *call, err error) error {
	s.forget(path)
	if !missing(err) && !failure(err) {
		return err
	}
	if lstat != nil {
		if _, lerr := c.wait(ctx, lstat); lerr == nil {
			return s.unfollowed(ctx, c, path, err)
		}
	}
	if failure(err) {
		f := c.flight()
		above := f.stat(pathpkg.Dir(path), true)
		if f.send(ctx) == nil {
			if a, aerr := c.wait(ctx, above); aerr == nil && !a.info.Mode.IsDir() {
				return fs.ErrNotExist
			}
		}
	}
	return err
}

// foreseen returns the size of a file that was a regular one when it was seen
// last. Nobody puts a FIFO or a device in such a file's place.
func (s *System) foreseen(path string) (size int64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	size, ok = s.plain[path]
	return size, ok
}

func (s *System) remember(path string, fi conn.FileInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !fi.Mode.IsRegular() {
		delete(s.plain, path)
		return
	}
	if len(s.plain) >= maxPlain {
		clear(s.plain)
	}
	s.plain[path] = fi.Size
}

func (s *System) forget(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.plain, path)
}

// sumScript is started with a path and a size, which is empty for any. It prints
// nothing when it has nothing to say. The name goes in by redirection: sha256sum
// escapes some names.
const sumScript = `[ -f "$1" ] || exit 0
if [ -n "$2" ] && ! [ "$(find -L "$1" -prune -size "$2c" 2>/dev/null)" ]; then exit 0; fi
exec sha256sum <"$1"`

// remoteSum is a checksum that the host works out.
type remoteSum struct {
	cancel context.CancelFunc
	done   chan struct{}
	sum    []byte
	err    error
}

// startSum starts to sum a file up on the host.
func (s *System) startSum(ctx context.Context, path string, size int64) *remoteSum {
	ctx, cancel := context.WithCancel(ctx)
	r := &remoteSum{cancel: cancel, done: make(chan struct{})}
	only := ""
	if size >= 0 {
		only = strconv.FormatInt(size, 10)
	}
	go func() {
		defer close(r.done)
		out, err := s.run(ctx, conn.Cmd{Argv: []string{"/bin/sh", "-c", sumScript, "jet", path, only}, ReadOnly: true})
		if err != nil {
			r.err = err
			return
		}
		text, ok := strings.CutSuffix(strings.TrimSpace(string(out.Stdout)), "  -")
		if sum, err := hex.DecodeString(text); ok && out.Code == 0 && err == nil && len(sum) == sha256.Size {
			r.sum = sum
		}
	}()
	return r
}

// wait returns the sum; nil if the host cannot work it out.
func (r *remoteSum) wait(ctx context.Context) ([]byte, error) {
	<-r.done
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return r.sum, r.err
}

// stop ends the command, whose result nobody needs any more.
func (r *remoteSum) stop() {
	r.cancel()
	<-r.done
}
