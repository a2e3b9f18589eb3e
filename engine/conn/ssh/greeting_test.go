package ssh_test

import (
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/conntest"
	"github.com/jet-bus/jet-bus/engine/conn/ssh"
)

func TestServersThatDoNotSpeakSSH(t *testing.T) {
	t.Parallel()
	for says, want := range map[string]string{
		"":                                 "does not speak SSH",
		"HTTP/1.1 400 Bad Request\r\n\r\n": `does not speak SSH, it says "HTTP/1.1 400 Bad Request"`,
		"hello\r\nSSH-2.0-x\r\n":           "EOF",
	} {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan struct{})
		go func() {
			defer close(served)
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = c.Read(make([]byte, 256))
				_, _ = io.WriteString(c, says)
				_ = c.Close()
			}
		}()
		key := filepath.Join(t.TempDir(), "key")
		conntest.WriteKey(t, key)
		_, err = ssh.NewDialer(ssh.Options{KnownHosts: []string{filepath.Join(t.TempDir(), "none")}}).Dial(t.Context(),
			conn.Target{Name: "web1", Address: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, User: "me", KeyFile: key})
		if !errors.Is(err, conn.ErrUnreachable) {
			t.Errorf("%q: error %v", says, err)
		} else if speaks := !strings.Contains(want, "not speak"); speaks == strings.Contains(err.Error(), "not speak") ||
			!speaks && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q in it", says, err, want)
		}
		_ = l.Close()
		<-served
	}
}
