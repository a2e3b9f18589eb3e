package shellfs_test

import (
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/conntest"
	"github.com/jet-bus/jet-bus/engine/conn/ssh"
)

// login logs in to a server with a line of configuration of its own.
func login(t *testing.T, line string) conn.Conn {
	t.Helper()
	s := conntest.StartSSHD(t, line)
	c, err := ssh.NewDialer(ssh.Options{KnownHosts: []string{s.KnownHosts}}).Dial(t.Context(), s.Target())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// without is the line that leaves a server without SFTP.
const without = "Subsystem nosftp internal-sftp"

func TestConformanceOverSSH(t *testing.T) {
	t.Parallel()
	c := login(t, without)
	conntest.Run(t, func(*testing.T) conn.Conn { return c })
}

// serverless becomes a user on whose behalf no SFTP server is to be found.
const serverless = `exec sudo -n -u {{jet_sudo_user}} -- /bin/sh -c "$(printf %s {{jet_command}} | sed 's#/sftp-server#/none#g')"`

func TestAsOtherUserOverSSH(t *testing.T) {
	t.Parallel()
	name := conntest.OtherUser(t)
	c, err := login(t, without).As(t.Context(), conn.Become{User: name, Template: serverless})
	if err != nil {
		t.Fatal(err)
	}
	dir := "/tmp/jet-shellfs-" + rand.Text()
	if err := c.Mkdir(t.Context(), dir, conn.Attr{}); err != nil {
		t.Fatal(err)
	}
	file := dir + "/a file"
	if err := c.WriteFile(t.Context(), file, strings.NewReader("x"), conn.Attr{}); err != nil {
		t.Error(err)
	}
	found, err := c.Inspect(t.Context(), file, conn.Look{Content: 10})
	if err != nil || found.Owner != name || string(found.Content) != "x" {
		t.Errorf("inspect: %+v, %v", found, err)
	}
	if err := c.RemoveAll(t.Context(), dir); err != nil {
		t.Error(err)
	}
}

// A server whose SFTP is of no use is as good as one without.
func TestUselessSFTP(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"Subsystem sftp /no/such/program", "Subsystem sftp /bin/false", "Subsystem sftp /bin/true",
		"Subsystem sftp /bin/echo hello, user",
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			c := login(t, line)
			file := filepath.Join(t.TempDir(), "file")
			if err := c.WriteFile(t.Context(), file, strings.NewReader("x"), conn.Attr{}); err != nil {
				t.Fatal(err)
			}
			if fi, err := c.Stat(t.Context(), file); err != nil || fi.Size != 1 {
				t.Errorf("stat: %+v, %v", fi, err)
			}
		})
	}
}

// Who may not become the other user is told so, and not that there is no SFTP.
func TestRefusedOverSSH(t *testing.T) {
	t.Parallel()
	c, err := login(t, without).As(t.Context(), conn.Become{User: "jet-no-such-user"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Stat(t.Context(), "/"); !errors.Is(err, conn.ErrBecome) || !strings.Contains(err.Error(), "become jet-no-such-user") {
		t.Errorf("stat: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := c.WriteFile(t.Context(), file, strings.NewReader("x"), conn.Attr{}); !errors.Is(err, conn.ErrBecome) {
		t.Errorf("write: %v", err)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("there is a file")
	}
}
