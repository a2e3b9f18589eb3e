package sftpfs

import (
	"context"
	"encoding/binary"
	"io"

	"github.com/jet-bus/jet-bus/engine/conn/files"
)

// buffers is how many parts of a file's content there are at a time: one that is
// being written while the next is being read.
const buffers = 2

// part is a part of a file's content, in a packet's buffer behind room for the
// packet's fields.
type part struct {
	buf  []byte
	size int
	last bool
	err  error
}

// pump reads content ahead of its being written, in a goroutine of its own: a
// read may take as long as it likes, an operation must end with its context.
type pump struct {
	// room is the size of what is in front of the content in a packet.
	room  int
	parts chan part
	// free takes the buffers back whose content is written.
	free chan []byte
	done chan struct{}
}

// newPump returns a pump for a file whose handle has that size.
func newPump(handle int) *pump {
	const length, kind, id, text, offset = 4, 1, 4, 4, 8
	return &pump{
		room:  length + kind + id + text + handle + offset + text,
		parts: make(chan part),
		free:  make(chan []byte, buffers),
		done:  make(chan struct{}),
	}
}

// run reads all of content, or until ctx ends.
func (p *pump) run(ctx context.Context, content io.Reader) {
	defer close(p.done)
	// So a packet fits into one of SSH's.
	size := dataSize - p.room
	if known, ok := content.(interface{ Len() int }); ok {
		// One more, to see the end.
		size = min(known.Len()+1, size)
	}
	content = files.Reader(ctx, content)
	for made := 0; ; {
		var buf []byte
		select {
		case buf = <-p.free:
		default:
			if made < buffers {
				// The end of the last packet is followed by some more requests.
				const more = 1 << 10
				made++
				buf = make([]byte, p.room+size, p.room+size+more)
				break
			}
			select {
			case buf = <-p.free:
			case <-ctx.Done():
				return
			}
		}
		n, err := io.ReadFull(content, buf[p.room:p.room+size])
		out := part{buf: buf, size: n}
		switch err {
		case nil:
		case io.EOF, io.ErrUnexpectedEOF:
			out.last = true
		default:
			out.err = err
		}
		select {
		case p.parts <- out:
		case <-ctx.Done():
			return
		}
		if out.last || out.err != nil {
			return
		}
	}
}

// writePart adds a part to the flight whose buffer it is in, as its first request.
func (f *flight) writePart(handle string, offset int64, p part) {
	q := f.begin(typeWrite, typeStatus)
	f.text(handle)
	f.buf = binary.BigEndian.AppendUint64(f.buf, uint64(offset)) //nolint:gosec // never negative
	f.number(uint32(p.size))                                     //nolint:gosec // at most dataSize
	f.buf = f.buf[:len(f.buf)+p.size]
	f.end(q)
}
