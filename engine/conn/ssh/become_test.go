package ssh_test

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/conntest"
	"github.com/jet-bus/jet-bus/engine/conn/ssh"
)

func as(t *testing.T, c conn.Conn, b conn.Become) conn.Conn {
	t.Helper()
	other, err := c.As(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	return other
}

// Whoever logs in and whoever he becomes, a host is a host.
func TestConformanceOfAnAccount(t *testing.T) {
	t.Parallel()
	c := dial(t, conntest.StartSSHDWithAccount(t), ssh.Options{})
	for name, become := range map[string]conn.Become{
		"login user":               {},
		"sudo":                     {User: "nobody"},
		"sudo, with a password":    {User: "root", Password: conntest.AccountPassword},
		"sudo, a user with one":    {User: "daemon", Password: conntest.AccountPassword},
		"sudo, none needed":        {User: "nobody", Password: conntest.AccountPassword},
		"a template of sudo's own": {User: "nobody", Template: "sudo -n -u {{jet_sudo_user}} sh -c {{ jet_command }}"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			other := as(t, c, become)
			conntest.Run(t, func(*testing.T) conn.Conn { return other })
		})
	}
}

func TestConformanceWithATemplate(t *testing.T) {
	t.Parallel()
	name := conntest.OtherUser(t)
	c := dial(t, conntest.StartSSHD(t), ssh.Options{})
	if c.User() != "root" {
		conntest.Missing(t, "only the superuser needs no password for su")
	}
	other := as(t, c, conn.Become{User: name, Template: "su -s /bin/sh {{jet_sudo_user}} -c {{jet_command}}"})
	conntest.Run(t, func(*testing.T) conn.Conn { return other })
}

// The password goes to sudo and nowhere else.
func TestSudoPassword(t *testing.T) {
	t.Parallel()
	c := dial(t, conntest.StartSSHDWithAccount(t), ssh.Options{})
	for name, become := range map[string]conn.Become{
		"asked":     {User: "root", Password: conntest.AccountPassword},
		"not asked": {User: "nobody", Password: conntest.AccountPassword},
	} {
		other := as(t, c, become)
		for range 2 {
			out, err := other.Run(t.Context(), conn.Cmd{
				Shell: "id -un; cat; echo x >&2; ps -e -o args=", Stdin: strings.NewReader("mine\n"),
			})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if got := string(out.Stdout); !strings.HasPrefix(got, become.User+"\nmine\n") || string(out.Stderr) != "x\n" {
				t.Errorf("%s: output %.40q, %q", name, got, out.Stderr)
			}
			if strings.Contains(string(out.Stdout), conntest.AccountPassword) {
				t.Errorf("%s: ps shows the password", name)
			}
		}
		out, err := other.Run(t.Context(), conn.Cmd{Shell: "cat; env; id -un", Env: map[string]string{"A": "b"}})
		if err != nil || !strings.Contains(string(out.Stdout), "A=b\n") || strings.Contains(string(out.Stdout), conntest.AccountPassword) {
			t.Errorf("%s: output %q, error %v", name, out.Stdout, err)
		}
	}
}

// While sudo checks a password, none of our processes shows it either.
func TestSudoPasswordIsNotInAnyProcess(t *testing.T) {
	t.Parallel()
	c := dial(t, conntest.StartSSHDWithAccount(t), ssh.Options{})
	other := as(t, c, conn.Become{User: "root", Password: conntest.AccountPassword})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = other.Run(ctx, conn.Cmd{Shell: "sleep 1000"})
	}()
	for seen := false; !seen; {
		out, err := exec.CommandContext(t.Context(), "ps", "-e", "-o", "args=").Output()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(out), conntest.AccountPassword) {
			t.Error("ps shows the password")
		}
		seen = strings.Contains(string(out), "sleep 1000")
	}
	cancel()
	<-done
}

func TestWrongSudoPassword(t *testing.T) {
	t.Parallel()
	s := conntest.StartSSHDWithAccount(t)
	c := dial(t, s, ssh.Options{})
	other := as(t, c, conn.Become{User: "root", Password: "battery staple"})
	for what, do := range map[string]func() error{
		"run":  func() error { _, err := other.Run(t.Context(), conn.Cmd{Argv: []string{"true"}}); return err },
		"stat": func() error { _, err := other.Stat(t.Context(), "/"); return err },
	} {
		start := time.Now()
		err := do()
		if !errors.Is(err, conn.ErrBecome) || !strings.Contains(err.Error(), "does not accept the password") {
			t.Errorf("%s: %v", what, err)
		}
		if strings.Contains(err.Error(), "battery") {
			t.Errorf("%s: the error shows the password: %v", what, err)
		}
		if took := time.Since(start); took > 15*time.Second {
			t.Errorf("%s: refused after %s", what, took)
		}
	}
	none := as(t, c, conn.Become{User: "root"})
	if _, err := none.Run(t.Context(), conn.Cmd{Argv: []string{"true"}}); !errors.Is(err, conn.ErrBecome) ||
		!strings.Contains(err.Error(), "password is required") {
		t.Errorf("no password: %v", err)
	}
	// That user's own password is asked for, once for each connection.
	if _, err := as(t, c, conn.Become{User: "root", Password: conntest.AccountPassword}).Run(t.Context(),
		conn.Cmd{Argv: []string{"true"}}); err != nil {
		t.Errorf("the right password after wrong ones: %v", err)
	}
}

func TestBecomeThatCannotBe(t *testing.T) {
	t.Parallel()
	c := dial(t, conntest.StartSSHD(t), ssh.Options{})
	for want, become := range map[string]conn.Become{
		"no user's name":      {User: "-u"},
		"no {{jet_command}}":  {User: "web", Template: "su {{jet_sudo_user}}"},
		"holds a line break":  {User: "web", Password: "a\nb"},
		"template holds a NU": {User: "web", Template: "\x00{{jet_command}}"},
	} {
		if _, err := c.As(t.Context(), become); !errors.Is(err, conn.ErrBecome) || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", become, err)
		}
	}
	other := as(t, c, conn.Become{User: "web", Template: "echo sorry >&2; false {{jet_command}}"})
	if _, err := other.Run(t.Context(), conn.Cmd{Argv: []string{"true"}}); !errors.Is(err, conn.ErrBecome) ||
		!strings.Contains(err.Error(), "sorry") {
		t.Errorf("a template that fails: %v", err)
	}
}
