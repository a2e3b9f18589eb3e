package sftpfs

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/pkg/sftp"
)

// failing is a server on which every write fails without a reason.
type failing struct {
	sftp.FileCmder
	free uint64
}

func (f failing) Filewrite(*sftp.Request) (io.WriterAt, error) { return f, nil }
func (failing) WriteAt([]byte, int64) (int, error)             { return 0, sftp.ErrSSHFxFailure }
func (f failing) StatVFS(*sftp.Request) (*sftp.StatVFS, error) {
	return &sftp.StatVFS{Frsize: 4096, Bavail: f.free}, nil
}

func TestFailedWrite(t *testing.T) {
	t.Parallel()
	for free, want := range map[uint64]string{0: "no space left on the device", 1 << 20: "the host gave no reason"} {
		ours, theirs := net.Pipe()
		h := failing{FileCmder: sftp.InMemHandler().FileCmd, free: free}
		server := sftp.NewRequestServer(theirs, sftp.Handlers{FilePut: h, FileCmd: h})
		served := make(chan struct{})
		go func() {
			defer close(served)
			_ = server.Serve()
		}()
		session := NewSession(func(context.Context) (*Pipe, error) {
			return &Pipe{In: ours, Out: ours, Close: ours.Close}, nil
		})
		f, err := NewSystem(session, nil).Create(t.Context(), "/file")
		if err != nil {
			t.Fatal(err)
		}
		err = f.Write(t.Context(), strings.NewReader("text"))
		if err == nil || !strings.Contains(err.Error(), want) || errors.Is(err, syscall.ENOSPC) != (free == 0) {
			t.Errorf("with %d blocks free: error %v, want %q", free, err, want)
		}
		_ = session.Close()
		_ = server.Close()
		<-served
	}
}
