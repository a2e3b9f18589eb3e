package hosts

import (
	"cmp"
	"context"

	"github.com/spf13/cobra"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/engine/conn/local"
	"github.com/jet-bus/jet-bus/engine/conn/ssh"
	"github.com/jet-bus/jet-bus/internal/proc"
)

// Flags are the flags.
type Flags struct {
	KnownHosts string
	AcceptNew  bool
	KeyFile    string
	User       string
}

// Bind adds the flags to a command.
func (f *Flags) Bind(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&f.KnownHosts, "known-hosts", "", "`file` of host keys to trust, and to record new ones in (default ~/.ssh/known_hosts, and /etc/ssh/ssh_known_hosts to trust)")
	fs.BoolVar(&f.AcceptNew, "accept-new", false, "trust and record the key of a host that is met for the first time; changed keys are refused always")
	fs.StringVar(&f.KeyFile, "key", "", "private key `file` to log in with (default: the agent, then ~/.ssh/id_*)")
	fs.StringVar(&f.User, "user", "", "`name` to log in as, where the inventory names none")
}

// Dialer returns the dialer the flags ask for.
func (f *Flags) Dialer(env proc.Env) conn.Dialer {
	home := env.Getenv("HOME")
	var known []string // the dialer's default
	if f.KnownHosts != "" {
		known = []string{f.KnownHosts}
	}
	return dialer{flags: *f, ssh: ssh.NewDialer(ssh.Options{
		AgentSocket: env.Getenv("SSH_AUTH_SOCK"),
		Home:        home,
		KnownHosts:  known,
		AcceptNew:   f.AcceptNew,
		User:        cmp.Or(env.Getenv("JET_SSH_USER"), env.Getenv("USER"), "root"),
	})}
}

type dialer struct {
	flags Flags
	ssh   *ssh.Dialer
}

// Dial implements [conn.Dialer].
func (d dialer) Dial(ctx context.Context, t conn.Target) (conn.Conn, error) {
	if t.Local {
		return local.Dialer{}.Dial(ctx, t)
	}
	t.User = cmp.Or(t.User, d.flags.User)
	t.KeyFile = cmp.Or(t.KeyFile, d.flags.KeyFile)
	return d.ssh.Dial(ctx, t)
}
