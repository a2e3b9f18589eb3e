package hosts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/local"
	"github.com/jet-bus/jet-bus/engine/conn/ssh"
	"github.com/jet-bus/jet-bus/internal/proc"
)

// systemConfig is everyone's configuration of ssh.
const systemConfig = "/etc/ssh/ssh_config"

// Flags are the flags.
type Flags struct {
	KnownHosts string
	AcceptNew  bool
	KeyFile    string
	User       string
	// SSHConfig is a file in the place of the usual ones, or "none".
	SSHConfig    string
	Jump         string
	ForwardAgent bool
}

// Bind adds the flags to a command.
func (f *Flags) Bind(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&f.KnownHosts, "known-hosts", "", "`file` of host keys to trust, and to record new ones in (default ~/.ssh/known_hosts, and /etc/ssh/ssh_known_hosts to trust)")
	fs.BoolVar(&f.AcceptNew, "accept-new", false, "trust and record the key of a host that is met for the first time; changed keys are refused always")
	fs.StringVar(&f.KeyFile, "key", "", "private key `file` to log in with (default: the agent, then ~/.ssh/id_*)")
	fs.StringVar(&f.User, "user", "", "`name` to log in as, where the inventory names none")
	fs.StringVar(&f.SSHConfig, "ssh-config", "", "ssh's configuration `file` to follow, or none (default ~/.ssh/config and /etc/ssh/ssh_config)")
	fs.StringVar(&f.Jump, "jump", "", "`hosts` to connect through, [user@]host[:port],… with the outermost first, or none, where the inventory names none")
	fs.BoolVar(&f.ForwardAgent, "forward-agent", false, "lend the SSH agent to the commands that log in from a host to another (git over SSH)")
}

// Check finds what is wrong with the flags before anything is connected to. Of the
// files only those that are named must be there.
func (f *Flags) Check(env proc.Env) error {
	if err := ssh.CheckJump(f.Jump); err != nil {
		return proc.Usagef("--jump %q: name hosts as [user@]host[:port], separated by commas, or none", f.Jump)
	}
	key := ssh.AtHome(env.Getenv("HOME"), f.KeyFile)
	files := []struct {
		flag  string
		names []string // one of them is enough
	}{
		{"key", []string{key, key + ".pub"}}, // the agent may have the private half
		{"known-hosts", []string{f.KnownHosts}},
		{"ssh-config", []string{f.SSHConfig}},
	}
	for _, file := range files {
		name := file.names[0]
		switch {
		case name == "", file.flag == "known-hosts" && f.AcceptNew, file.flag == "ssh-config" && name == "none":
			continue
		}
		if !slices.ContainsFunc(file.names, exists) {
			return fmt.Errorf("--%s: there is no file %s", file.flag, name)
		}
	}
	return nil
}

// exists reports whether a file is there; one that may not be looked at counts, as
// reading it says more.
func exists(name string) bool {
	_, err := os.Stat(name)
	return !errors.Is(err, fs.ErrNotExist)
}

// Dialer returns the dialer the flags ask for.
func (f *Flags) Dialer(env proc.Env) conn.Dialer {
	home := env.Getenv("HOME")
	var known []string // the dialer's default
	if f.KnownHosts != "" {
		known = []string{f.KnownHosts}
	}
	flags := *f
	// Who is asked for by name goes before what a configuration says.
	flags.User = cmp.Or(f.User, env.Getenv("JET_SSH_USER"))
	return dialer{
		flags:      flags,
		passphrase: env.Getenv("JET_SSH_PRIVATE_KEY_PASSPHRASE"),
		comment:    env.Getenv("JET_SSH_KEY_COMMENT"),
		ssh: ssh.NewDialer(ssh.Options{
			AgentSocket:  env.Getenv("SSH_AUTH_SOCK"),
			ForwardAgent: f.ForwardAgent,
			Home:         home,
			KnownHosts:   known,
			AcceptNew:    f.AcceptNew,
			ConfigFiles:  f.configFiles(home),
			LocalUser:    env.Getenv("USER"),
			User:         cmp.Or(env.Getenv("USER"), "root"),
		}),
	}
}

func (f *Flags) configFiles(home string) []string {
	switch {
	case f.SSHConfig == "none":
		return nil
	case f.SSHConfig != "":
		return []string{f.SSHConfig}
	case home == "":
		return []string{systemConfig}
	}
	return []string{filepath.Join(home, ".ssh", "config"), systemConfig}
}

type dialer struct {
	flags Flags
	// passphrase and comment are for keys of which the inventory says nothing.
	passphrase, comment string
	ssh                 *ssh.Dialer
}

// Dial implements [conn.Dialer].
func (d dialer) Dial(ctx context.Context, t conn.Target) (conn.Conn, error) {
	if t.Local {
		return local.Dialer{}.Dial(ctx, t)
	}
	if file := d.flags.SSHConfig; file != "" && file != "none" {
		// The usual files may be missing; one that is named may not.
		if _, err := os.Stat(file); err != nil {
			return nil, fmt.Errorf("read ssh configuration: %w: %w", conn.ErrUnreachable, err)
		}
	}
	t.User = cmp.Or(t.User, d.flags.User)
	t.KeyFile = cmp.Or(t.KeyFile, d.flags.KeyFile)
	t.KeyPassphrase = cmp.Or(t.KeyPassphrase, d.passphrase)
	if t.KeyFile == "" {
		t.KeyComment = cmp.Or(t.KeyComment, d.comment)
	}
	t.Jump = cmp.Or(t.Jump, d.flags.Jump)
	return d.ssh.Dial(ctx, t)
}
