package ssh_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	gossh "golang.org/x/crypto/ssh"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/conntest"
	"github.com/jet-bus/jet-bus/engine/conn/ssh"
)

// Passwords are tried against a server of the test's own: that of the system
// would want to know a real one.
func TestPassword(t *testing.T) {
	t.Parallel()
	good := func(password string) error {
		if password != "right" {
			return errors.New("no")
		}
		return nil
	}
	for name, config := range map[string]*gossh.ServerConfig{
		"password": {PasswordCallback: func(_ gossh.ConnMetadata, p []byte) (*gossh.Permissions, error) {
			return nil, good(string(p))
		}},
		"dialogue": {KeyboardInteractiveCallback: func(_ gossh.ConnMetadata, ask gossh.KeyboardInteractiveChallenge,
		) (*gossh.Permissions, error) {
			answers, err := ask("", "", []string{"Password: "}, []bool{false})
			if err != nil {
				return nil, err
			}
			return nil, good(answers[0])
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			port := serveLogins(t, config)
			d := ssh.NewDialer(ssh.Options{KnownHosts: []string{filepath.Join(t.TempDir(), "known")}, AcceptNew: true})
			target := conn.Target{Address: "127.0.0.1", Port: port, User: "me", Password: "right"}
			c, err := d.Dial(t.Context(), target)
			if err != nil {
				t.Fatal(err)
			}
			_ = c.Close()
			target.Password = "wrong"
			if _, err := d.Dial(t.Context(), target); !errors.Is(err, conn.ErrAuth) {
				t.Errorf("a wrong password: %v", err)
			}
		})
	}
}

// serveLogins lets clients log in and does nothing else.
func serveLogins(t *testing.T, config *gossh.ServerConfig) (port int) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "host")
	conntest.WriteKey(t, file)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := gossh.ParsePrivateKey(text)
	if err != nil {
		t.Fatal(err)
	}
	config.AddHostKey(signer)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer func() { _ = c.Close() }()
				sc, channels, requests, err := gossh.NewServerConn(c, config)
				if err != nil {
					return
				}
				wg.Go(func() { gossh.DiscardRequests(requests) })
				for ch := range channels {
					_ = ch.Reject(gossh.Prohibited, "no")
				}
				_ = sc.Wait()
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	_, portText, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	port, err = strconv.Atoi(portText)
	if err != nil {
		t.Fatal(err)
	}
	return port
}
