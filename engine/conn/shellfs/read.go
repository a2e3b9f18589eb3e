package shellfs

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/jet-bus/jet-bus/engine/conn/files"
)

const (
	// block is the unit that reading skips in.
	block = 64 << 10
	// firstPiece and lastPiece are how much of a file one command brings: each
	// piece is twice as large as the one before. It is held in memory.
	firstPiece = 256 << 10
	lastPiece  = 2 << 20
)

// ReadLink implements [files.System].
func (s *System) ReadLink(ctx context.Context, path string) (string, error) {
	out, err := s.look(ctx, linkScript, path)
	return strings.TrimSuffix(string(out), "\n"), err
}

// ReadDir implements [files.System].
func (s *System) ReadDir(ctx context.Context, path string) ([]string, error) {
	out, err := s.look(ctx, listScript, path)
	if err != nil {
		return nil, err
	}
	names := []string{}
	for name := range strings.SplitSeq(string(out), "/") {
		if name != "" && name != "." && name != ".." {
			names = append(names, name)
		}
	}
	return names, nil
}

// Open implements [files.System]. The file is read in pieces, one command each;
// when it is replaced meanwhile, the reading fails rather than mix two files.
func (s *System) Open(ctx context.Context, path string) (io.ReadCloser, error) {
	r := &reader{next: func(skip, count int64, inode string) ([]byte, error) {
		return s.look(ctx, readScript, path, strconv.FormatInt(skip, 10), strconv.FormatInt(count, 10), inode)
	}, size: firstPiece}
	if err := r.fetch(); err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{files.Reader(ctx, r), r}, nil
}

// reader is a file open for reading.
type reader struct {
	next  func(skip, count int64, inode string) ([]byte, error)
	inode string
	// skip is the place of the next piece, in blocks; size is its size.
	skip, size int64
	piece      []byte
	// end means that no piece comes after this one.
	end bool
}

// fetch gets the next piece.
func (r *reader) fetch() error {
	out, err := r.next(r.skip, r.size, r.inode)
	if err != nil {
		return err
	}
	inode, piece, ok := bytes.Cut(out, []byte("\n"))
	if !ok {
		return fmt.Errorf("the host's answer makes no sense: %.100q", out)
	}
	r.inode, r.piece = string(inode), piece
	r.end = int64(len(piece)) < r.size
	r.skip += r.size / block
	r.size = min(2*r.size, lastPiece)
	return nil
}

// Read implements [io.Reader].
func (r *reader) Read(p []byte) (int, error) {
	for len(r.piece) == 0 {
		if r.end {
			return 0, io.EOF
		}
		if err := r.fetch(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.piece)
	r.piece = r.piece[n:]
	return n, nil
}

// Close implements [io.Closer].
func (r *reader) Close() error {
	r.piece, r.end = nil, true
	return nil
}
