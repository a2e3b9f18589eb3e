package sftpfs_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/pkg/sftp"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/conntest"
	"github.com/jet-bus/jet-bus/engine/conn/files"
	"github.com/jet-bus/jet-bus/engine/conn/local"
	"github.com/jet-bus/jet-bus/engine/conn/sftpfs"
)

// host is this machine, its files behind an SFTP server.
type host struct {
	commands
	*files.FS
}

// commands is what of a connection is not about files.
type commands interface {
	User() string
	As(ctx context.Context, b conn.Become) (conn.Conn, error)
	Run(ctx context.Context, c conn.Cmd) (conn.Output, error)
	RTT() time.Duration
	Close() error
}

// As implements [conn.Conn]; nobody is to become another user here.
func (h *host) As(ctx context.Context, b conn.Become) (conn.Conn, error) {
	other, err := h.commands.As(ctx, b)
	if other == h.commands {
		return h, nil
	}
	return other, err
}

// A server that is not OpenSSH's has hardly an extension, and handles that cannot
// be foreseen.
func TestConformanceOnAnotherServer(t *testing.T) {
	t.Parallel()
	here, err := local.Dial(t.Context(), conn.Target{Name: "here"})
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	session := sftpfs.NewSession(func(context.Context) (*sftpfs.Pipe, error) {
		ours, theirs := net.Pipe()
		server, err := sftp.NewServer(theirs)
		if err != nil {
			return nil, err
		}
		served.Go(func() { _ = server.Serve() })
		return &sftpfs.Pipe{In: ours, Out: ours, Close: ours.Close}, nil
	})
	t.Cleanup(func() {
		_ = session.Close()
		_ = here.Close()
		served.Wait()
	})
	fs := files.New(sftpfs.NewSystem(session, here.Run), files.NewHostNames(here.Run))
	conntest.Run(t, func(*testing.T) conn.Conn { return &host{here, fs} })
}
