package hosts

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/internal/proc"
)

func flags(t *testing.T, args ...string) *Flags {
	t.Helper()
	var f Flags
	cmd := &cobra.Command{}
	f.Bind(cmd)
	if err := cmd.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	return &f
}

func TestFlags(t *testing.T) {
	t.Parallel()
	got := *flags(t, "--known-hosts", "/k", "--accept-new", "--key", "/id", "--user", "deploy",
		"--ssh-config", "none", "--jump", "a,b", "--forward-agent")
	if want := (Flags{
		KnownHosts: "/k", AcceptNew: true, KeyFile: "/id", User: "deploy",
		SSHConfig: "none", Jump: "a,b", ForwardAgent: true,
	}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := *flags(t); got != (Flags{}) {
		t.Errorf("defaults are %+v", got)
	}
}

// A local target needs no SSH, whatever the flags say; every other one does.
func TestDialer(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	d := flags(t, "--user", "nobody", "--key", filepath.Join(home, "none")).
		Dialer(proc.Env{Getenv: func(name string) string { return map[string]string{"HOME": home}[name] }})
	c, err := d.Dial(t.Context(), conn.Target{Name: "here", Local: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	_, err = d.Dial(t.Context(), conn.Target{Name: "there", Address: "127.0.0.1", Port: 1})
	if err == nil || !strings.Contains(err.Error(), "there") {
		t.Errorf("dialing a host that is not there: %v", err)
	}
}

func TestNamedConfigIsMissing(t *testing.T) {
	t.Parallel()
	d := flags(t, "--ssh-config", filepath.Join(t.TempDir(), "none")).Dialer(proc.Env{Getenv: func(string) string { return "" }})
	if _, err := d.Dial(t.Context(), conn.Target{Name: "web1"}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

func TestConfigFiles(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		flag, home string
		want       []string
	}{
		{"", "/home/me", []string{"/home/me/.ssh/config", "/etc/ssh/ssh_config"}},
		{"", "", []string{"/etc/ssh/ssh_config"}},
		{"none", "/home/me", nil},
		{"/my/config", "/home/me", []string{"/my/config"}},
	} {
		f := Flags{SSHConfig: test.flag}
		if got := f.configFiles(test.home); !slices.Equal(got, test.want) {
			t.Errorf("--ssh-config %q: %q, want %q", test.flag, got, test.want)
		}
	}
}
