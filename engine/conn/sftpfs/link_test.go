package sftpfs

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/pkg/sftp"

	"github.com/jet-bus/jet-bus/engine/conn"
)

const opensshPath = "/usr/lib/openssh/sftp-server"

// openssh starts OpenSSH's server.
func openssh(t testing.TB) io.ReadWriteCloser {
	t.Helper()
	if _, err := os.Stat(opensshPath); err != nil {
		t.Skipf("OpenSSH's SFTP server is needed: %v", err)
	}
	cmd := exec.Command(opensshPath)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{Reader: out, WriteCloser: in, cmd: cmd}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

type process struct {
	io.Reader
	io.WriteCloser
	cmd  *exec.Cmd
	once sync.Once
}

func (p *process) Close() error {
	p.once.Do(func() {
		_ = p.WriteCloser.Close()
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	})
	return nil
}

// library serves with another server, whose handles are not OpenSSH's and which
// has hardly any extensions.
func library(t testing.TB) io.ReadWriteCloser {
	t.Helper()
	ours, theirs := net.Pipe()
	server, err := sftp.NewServer(theirs)
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(func() { _ = server.Serve() })
	return &serving{Conn: ours, end: func() { _ = server.Close(); served.Wait() }}
}

type serving struct {
	net.Conn
	end func()
}

func (s *serving) Close() error {
	_ = s.Conn.Close()
	s.end()
	return nil
}

// direct is a pipe straight to a server.
func direct(server io.ReadWriteCloser) *Pipe {
	return &Pipe{In: server, Out: server, Close: server.Close}
}

// over returns the files of a server, with commands of this machine.
func over(t testing.TB, pipe *Pipe) (*System, *Session) {
	t.Helper()
	session := NewSession(func(context.Context) (*Pipe, error) { return pipe, nil })
	t.Cleanup(func() { _ = session.Close() })
	return NewSystem(session, run), session
}

func run(ctx context.Context, c conn.Cmd) (conn.Output, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, c.Argv[0], c.Argv[1:]...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if ctx.Err() != nil {
		return conn.Output{}, context.Cause(ctx)
	}
	if _, exited := errors.AsType[*exec.ExitError](err); exited {
		err = nil
	}
	return conn.Output{Stdout: stdout.Bytes(), Stderr: stderr.Bytes(), Code: cmd.ProcessState.ExitCode()}, err
}

// far is a pipe to a server at some distance. It hands the server one request
// after the other and takes its answer, so that time in a synctest bubble passes
// as it would over a real distance.
func far(server io.ReadWriteCloser, distance time.Duration) *Pipe {
	l := &link{server: server, out: make(chan late, 1<<12), back: make(chan late, 1<<12), closed: make(chan struct{})}
	r, w := io.Pipe()
	l.owned.Go(func() {
		l.carry(l.out, distance, func(packet []byte) {
			if answer, err := l.exchange(packet); err == nil {
				l.send(l.back, answer)
			}
		})
	})
	l.owned.Go(func() {
		l.carry(l.back, distance, func(packet []byte) { _, _ = w.Write(packet) })
	})
	var once sync.Once
	return &Pipe{In: l, Out: r, Close: func() error {
		once.Do(func() {
			close(l.closed)
			_ = w.CloseWithError(io.EOF)
			_ = server.Close()
			l.owned.Wait()
		})
		return nil
	}}
}

// link carries packets both ways, each after the same delay.
type link struct {
	server    io.ReadWriteCloser
	rest      []byte
	out, back chan late
	closed    chan struct{}
	owned     sync.WaitGroup
}

type late struct {
	sent   time.Time
	packet []byte
}

func (l *link) send(ch chan late, packet []byte) {
	select {
	case ch <- late{time.Now(), packet}:
	case <-l.closed:
	}
}

// Write implements [io.Writer]: it takes packets apart.
func (l *link) Write(p []byte) (int, error) {
	select {
	case <-l.closed:
		return 0, io.ErrClosedPipe
	default:
	}
	l.rest = append(l.rest, p...)
	for len(l.rest) >= 4 {
		size := 4 + int(binary.BigEndian.Uint32(l.rest))
		if len(l.rest) < size {
			break
		}
		l.send(l.out, bytes.Clone(l.rest[:size]))
		l.rest = l.rest[size:]
	}
	return len(p), nil
}

func (l *link) Close() error { return nil }

func (l *link) carry(ch chan late, delay time.Duration, deliver func([]byte)) {
	for {
		select {
		case p := <-ch:
			time.Sleep(time.Until(p.sent.Add(delay)))
			deliver(p.packet)
		case <-l.closed:
			return
		}
	}
}

func (l *link) exchange(packet []byte) ([]byte, error) {
	if _, err := l.server.Write(packet); err != nil {
		return nil, err
	}
	var size [4]byte
	if _, err := io.ReadFull(l.server, size[:]); err != nil {
		return nil, err
	}
	answer := make([]byte, 4+binary.BigEndian.Uint32(size[:]))
	copy(answer, size[:])
	_, err := io.ReadFull(l.server, answer[4:])
	return answer, err
}
