package sftpfs

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/engine/conn"
)

func FuzzDecode(f *testing.F) {
	f.Add(byte(typeStatus), []byte("\x00\x00\x00\x02\x00\x00\x00\x04gone\x00\x00\x00\x00"))
	f.Add(byte(typeHandle), []byte("\x00\x00\x00\x04\x00\x00\x00\x00"))
	f.Add(byte(typeName), []byte("\x00\x00\x00\x01\x00\x00\x00\x01x\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Add(byte(typeName), []byte("\xff\xff\xff\xff"))
	f.Add(byte(typeAttrs), []byte("\x80\x00\x00\x0f\x00\x00\x00\x00\x00\x00\x00\x05"))
	f.Add(byte(typeReply), []byte("anything"))
	f.Fuzz(func(t *testing.T, kind byte, body []byte) {
		a, err := decode(kind, body)
		if err != nil && !errors.Is(err, errMalformed) {
			t.Errorf("error %v", err)
		}
		if len(a.data) > len(body) || len(a.handle) > maxHandle || len(a.names) > len(body) {
			t.Errorf("%d bytes were read as more: %+v", len(body), a)
		}
		full(body)
		readNames(body, 2, 2)
	})
}

// script is a server that says what it will, whatever it is asked.
type script struct {
	io.Reader
}

func (s script) Write(p []byte) (int, error) { return len(p), nil }
func (s script) Close() error                { return nil }

// FuzzServer speaks to servers that make no sense. Every operation ends, with an
// error at the latest when the server does.
func FuzzServer(f *testing.F) {
	version := "\x00\x00\x00\x24\x02\x00\x00\x00\x03\x00\x00\x00\x18posix-rename@openssh.com\x00\x00\x00\x011"
	f.Add([]byte(version))
	f.Add([]byte("Welcome to this host!\n"))
	f.Add([]byte("\x00\x00\x00\x05\x02\x00\x00\x00\x03" + "\x00\x00\x00\x09\x66\x00\x00\x00\x01\x00\x00\x00\x00"))
	f.Add([]byte("\x00\x00\x00\x05\x02\x00\x00\x00\x03" + "\x00\x00\x00\x09\x69\x00\x00\x00\x01\x00\x00\x00\x00"))
	f.Add([]byte("\x00\x00\x00\x05\x02\x00\x00\x00\x03" + "\xff\xff\xff\xff\x69\x00\x00\x00\x01\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, says []byte) {
		none := func(context.Context, conn.Cmd) (conn.Output, error) { return conn.Output{}, errors.ErrUnsupported }
		for _, op := range []func(context.Context, *System) error{
			func(ctx context.Context, s *System) error {
				_, err := s.Inspect(ctx, "/x", conn.Look{Sum: true, Size: -1, Content: 10})
				return err
			},
			func(ctx context.Context, s *System) error { _, err := s.ReadDir(ctx, "/x"); return err },
			func(ctx context.Context, s *System) error {
				return s.Write(ctx, "/x", strings.NewReader("text"), keep)
			},
		} {
			end := script{Reader: bytes.NewReader(says)}
			session := NewSession(func(context.Context) (*Pipe, error) {
				return &Pipe{In: end, Out: end, Close: end.Close}, nil
			})
			_ = op(t.Context(), NewSystem(session, none))
			_ = session.Close()
		}
	})
}

func TestMalformedAnswersEndTheSession(t *testing.T) {
	t.Parallel()
	hello := "\x00\x00\x00\x05\x02\x00\x00\x00\x03"
	for name, says := range map[string]string{
		"length of zero":         "\x00\x00\x00\x00\x69",
		"length beyond measure":  "\x7f\xff\xff\xff\x69",
		"id of nobody":           "\x00\x00\x00\x09\x65\x00\x00\x00\x77\x00\x00\x00\x00",
		"answer of another kind": "\x00\x00\x00\x09\x66\x00\x00\x00\x01\x00\x00\x00\x00",
		"success and nothing":    "\x00\x00\x00\x09\x65\x00\x00\x00\x01\x00\x00\x00\x00",
		"attributes cut off":     "\x00\x00\x00\x09\x69\x00\x00\x00\x01\x00\x00\x00\x01",
		"more than there is":     "\x00\x00\x00\x0a\x69\x00\x00\x00\x01\x00\x00\x00\x00\x00",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// What follows is never looked at.
			end := script{Reader: strings.NewReader(hello + says + strings.Repeat("x", 100))}
			_, session := over(t, &Pipe{In: end, Out: end, Close: end.Close})
			c, err := session.client(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			f := c.flight()
			f.stat("/x", false)
			err = f.wait(t.Context())
			if !errors.Is(err, conn.ErrUnreachable) {
				t.Errorf("error is %v", err)
			}
			<-c.over
			if !errors.Is(c.fault, errMalformed) {
				t.Errorf("the session ended with %v", c.fault)
			}
		})
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	for code, want := range map[uint32]error{
		statusOK: nil, statusEOF: io.EOF, statusMissing: fs.ErrNotExist, statusPermission: fs.ErrPermission,
		statusLost: conn.ErrUnreachable, statusUnsupported: errors.ErrUnsupported,
	} {
		if err := (answer{status: code}).err(); !errors.Is(err, want) {
			t.Errorf("code %d: error %v, want %v", code, err, want)
		}
	}
	err := answer{status: statusFailure, message: "\x1b[2J" + strings.Repeat("x", 1000)}.err()
	if !failure(err) || strings.Contains(err.Error(), "\x1b") || len(err.Error()) > 2*maxMessage {
		t.Errorf("error %q", err)
	}
}

func TestFull(t *testing.T) {
	t.Parallel()
	reply := func(unit, blocks, files, free uint64) []byte {
		var b []byte
		for _, n := range []uint64{4096, unit, 1000, 1000, blocks, files, 1000, free, 0, 0, 255} {
			b = binary.BigEndian.AppendUint64(b, n)
		}
		return b
	}
	got := map[string]bool{
		"room":          full(reply(4096, 1000, 1000, 1000)),
		"no blocks":     full(reply(4096, 0, 1000, 1000)),
		"few blocks":    full(reply(4096, 3, 1000, 1000)),
		"no files":      full(reply(4096, 1000, 1000, 0)),
		"no such limit": full(reply(4096, 1000, 0, 0)),
		"cut off":       full(reply(4096, 0, 1000, 1000)[:30]),
		"unit of zero":  full(reply(0, 1<<40, 1000, 1000)),
	}
	want := map[string]bool{
		"room": false, "no blocks": true, "few blocks": true, "no files": true,
		"no such limit": false, "cut off": false, "unit of zero": false,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("full (-want +got):\n%s", diff)
	}
}
