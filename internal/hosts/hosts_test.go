package hosts

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	gossh "golang.org/x/crypto/ssh"

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

// What is wrong is found before anything is connected to.
func TestCheck(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	for _, name := range []string{"id", "agent.pub"} {
		if err := os.WriteFile(filepath.Join(home, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := proc.Env{Getenv: func(name string) string { return map[string]string{"HOME": home}[name] }}
	none := filepath.Join(home, "none")
	for _, c := range []struct {
		args []string
		want string // empty: nothing is wrong
	}{
		{nil, ""},
		{[]string{"--key", "~/id", "--jump", "a@b:22, ssh://c,[::1]:23", "--ssh-config", "none"}, ""},
		{[]string{"--key", filepath.Join(home, "agent"), "--jump", "none"}, ""},
		{[]string{"--known-hosts", none, "--accept-new"}, ""},
		{[]string{"--key", none}, "--key: there is no file " + none},
		{[]string{"--known-hosts", none}, "--known-hosts: there is no file " + none},
		{[]string{"--ssh-config", none}, "--ssh-config: there is no file " + none},
		{[]string{"--jump", "a:0"}, `--jump "a:0": name hosts as`},
		{[]string{"--jump", "a:x,b"}, `--jump "a:x,b": name hosts as`}, // not only the last is read
		{[]string{"--jump", ",b"}, `--jump ",b": name hosts as`},
	} {
		err := flags(t, c.args...).Check(env)
		if (err == nil) != (c.want == "") || err != nil && !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", c.args, err, c.want)
		}
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

// The environment opens keys, and chooses among those of the agent.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := gossh.MarshalPrivateKeyWithPassphrase(private, "", []byte("open sesame"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		env  map[string]string
		key  string
		want string
	}{
		"no passphrase":    {nil, file, "needs a passphrase"},
		"wrong passphrase": {map[string]string{"JET_SSH_PRIVATE_KEY_PASSPHRASE": "x"}, file, "does not open"},
		"passphrase":       {map[string]string{"JET_SSH_PRIVATE_KEY_PASSPHRASE": "open sesame"}, file, "connection refused"},
		"comment":          {map[string]string{"JET_SSH_KEY_COMMENT": "ops@site"}, "", "ops@site"},
	} {
		d := (&Flags{SSHConfig: "none"}).Dialer(proc.Env{Getenv: func(name string) string { return tt.env[name] }})
		_, err := d.Dial(t.Context(), conn.Target{Name: "there", Address: "127.0.0.1", Port: 1, User: "u", KeyFile: tt.key})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
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
