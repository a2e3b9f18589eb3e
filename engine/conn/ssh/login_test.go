package ssh_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/conntest"
	"github.com/jet-bus/jet-bus/engine/conn/ssh"
)

// The passwords of a real server, by either of the ways it asks for them.
func TestLoginByPassword(t *testing.T) {
	t.Parallel()
	for name, config := range map[string][]string{
		"password": {"PasswordAuthentication yes", "PubkeyAuthentication no"},
		"dialogue": {"UsePAM yes", "KbdInteractiveAuthentication yes", "PubkeyAuthentication no"},
		"both, key and password": {
			"UsePAM yes", "KbdInteractiveAuthentication yes", "AuthenticationMethods publickey,keyboard-interactive",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := conntest.StartSSHDWithAccount(t, config...)
			target := s.Target()
			target.Password = conntest.AccountPassword
			d := ssh.NewDialer(ssh.Options{KnownHosts: []string{s.KnownHosts}})
			c, err := d.Dial(t.Context(), target)
			if err != nil {
				t.Fatal(err)
			}
			_ = c.Close()
			target.Password = "battery staple"
			if _, err := d.Dial(t.Context(), target); !errors.Is(err, conn.ErrAuth) || strings.Contains(err.Error(), "battery") {
				t.Errorf("a wrong password: %v", err)
			}
		})
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	s := conntest.StartSSHD(t)
	home := t.TempDir()
	write(t, filepath.Join(home, "keys", "id"), read(t, s.KeyFile))
	config := write(t, filepath.Join(home, ".ssh", "config"), []byte(
		"Host web\n"+
			"  HostName "+s.Host+"\n"+
			"  Port "+s.Addr[strings.LastIndexByte(s.Addr, ':')+1:]+"\n"+
			"  User "+s.User+"\n"+
			"  IdentityFile ~/keys/id\n"+
			"  UserKnownHostsFile "+s.KnownHosts+"\n"+
			"Host new\n  HostName "+s.Host+"\n  UserKnownHostsFile ~/new\n  StrictHostKeyChecking no\n"+
			"Host null\n  HostName "+s.Host+"\n  UserKnownHostsFile /dev/null\n  StrictHostKeyChecking no\n"))
	d := ssh.NewDialer(ssh.Options{Home: home, User: "nobody", ConfigFiles: []string{config}})
	for name, test := range map[string]struct {
		target conn.Target
		want   error
	}{
		"all of it":                {target: conn.Target{Name: "web"}},
		"by its address":           {target: conn.Target{Name: "other", Address: "web"}},
		"a key file of ours":       {target: conn.Target{Name: "web", KeyFile: "~/keys/id"}},
		"the target's port counts": {target: conn.Target{Name: "web", Port: 1}, want: conn.ErrUnreachable},
		"the target's user counts": {target: conn.Target{Name: "web", User: "nobody"}, want: conn.ErrAuth},
		"no check is a first one":  {target: conn.Target{Name: "new", Port: s.Port, User: s.User, KeyFile: s.KeyFile}},
		"nowhere to record it":     {target: conn.Target{Name: "null", Port: s.Port, User: s.User, KeyFile: s.KeyFile}, want: conn.ErrHostKey},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := d.Dial(t.Context(), test.target)
			if err == nil {
				_ = c.Close()
			}
			if !errors.Is(err, test.want) {
				t.Errorf("error %v, want %v", err, test.want)
			}
		})
	}
	broken := write(t, filepath.Join(home, "broken"), []byte("Port none\n"))
	_, err := ssh.NewDialer(ssh.Options{User: "me", ConfigFiles: []string{broken}}).Dial(t.Context(), s.Target())
	if err == nil || !strings.Contains(err.Error(), "broken:1:6") {
		t.Errorf("a broken configuration: %v", err)
	}
}

// A command that only reads is ended like any other.
func TestCancelReadOnly(t *testing.T) {
	t.Parallel()
	c := dial(t, conntest.StartSSHD(t), ssh.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	pids := make(chan string, 1)
	ended := make(chan error)
	go func() {
		_, err := c.Run(ctx, conn.Cmd{Shell: "sleep 1000 & echo $$ $!; sleep 1000", ReadOnly: true, Stdout: lineTo(pids)})
		ended <- err
	}()
	running := <-pids
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	conntest.Gone(t, 5*time.Second, running)
}

// A host that allows few sessions is served with those.
func TestFewSessions(t *testing.T) {
	t.Parallel()
	c := dial(t, conntest.StartSSHD(t, "MaxSessions 2"), ssh.Options{FilesAhead: true})
	for range 20 {
		if _, err := c.Run(t.Context(), conn.Cmd{Argv: []string{"true"}}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Stat(t.Context(), "/"); err != nil {
			t.Fatal(err)
		}
	}
}

// A command is not taken for run where the host runs something else.
func TestForcedCommand(t *testing.T) {
	t.Parallel()
	for forced, want := range map[string]string{
		"/bin/echo no entry":                         "it says: no entry",
		`/bin/echo "refused: $SSH_ORIGINAL_COMMAND"`: "(exit status 0)",
		`/bin/echo "not: $SSH_ORIGINAL_COMMAND" >&2`: "(exit status 0)",
		"/bin/echo no entry >&2; exit 3":             "(exit status 3), it says: no entry",
	} {
		t.Run(forced, func(t *testing.T) {
			t.Parallel()
			c := dial(t, conntest.StartSSHD(t, "ForceCommand "+forced), ssh.Options{})
			out, err := c.Run(t.Context(), conn.Cmd{Argv: []string{"echo", "hush"}})
			if err == nil || !strings.Contains(err.Error(), "did not start it") || !strings.HasSuffix(err.Error(), want) {
				t.Errorf("output %q, error %v, want %q", out.Stdout, err, want)
			}
			if err != nil && strings.Contains(err.Error(), "hush") {
				t.Errorf("the error shows the arguments: %v", err)
			}
		})
	}
}
