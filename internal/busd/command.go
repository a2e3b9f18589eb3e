package busd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/jet-bus/jet-bus/internal/access"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/hosts"
	"github.com/jet-bus/jet-bus/internal/proc"
	"github.com/jet-bus/jet-bus/internal/queue"
)

// flags are those of the server command.
type flags struct {
	data, listen, http     string
	content                contentFlags
	durability, hooks      string
	cert, key              string
	nats, creds, ca        string
	replicas               int
	insecure, dev, verbose bool
	acceptLoss, allowExec  bool
	maxStore               proc.Size
	lease                  time.Duration
	hosts                  hosts.Flags
}

// Main is the jet-bus command. It returns the exit code.
func Main(ctx context.Context, env proc.Env) int {
	var f flags
	cmd := &cobra.Command{
		Use:   "jet-bus",
		Short: "Take in events, ask the rules, make jobs",
		Long: `jet-bus embeds the bus, takes in events by webhook and from jet, asks the rules
of its content directory, and makes jobs that runners claim.

On first start it makes its keys and the credentials for runners and operators
in the data directory. The content directory is watched, or a git repository
looked at, and what is new comes into force as a whole; what is faulty changes
nothing. SIGHUP has the content and the webhooks read at once. SIGINT and SIGTERM
stop it in order.

With --nats it uses a nats-server cluster instead (see jet-bus cluster init), which
several jet-bus may share.

Exit codes: 0 stopped as asked, 1 an error, 2 wrong usage.`,
		Args:          cobra.NoArgs,
		Version:       proc.Version(),
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := errors.Join(f.exclusive(cmd.Flags().Changed), f.content.check(cmd.Flags().Changed)); err != nil {
				return err
			}
			return f.serve(cmd.Context(), env)
		},
	}
	fl := cmd.Flags()
	f.content.bind(cmd)
	cmd.PersistentFlags().StringVar(&f.data, "data", "", "`directory` of all state (default $JET_DATA, else /var/lib/jet-bus for root, ~/.local/share/jet-bus for others)")
	fl.StringVar(&f.listen, "listen", "127.0.0.1:4222", "`address` of the bus, for runners and operators")
	fl.StringVar(&f.http, "http", "127.0.0.1:4280", "`address` of the webhooks and the status page")
	fl.StringVar(&f.hooks, "hooks", "", "webhooks `file`, watched (default: hooks.yml in the data directory, if there is one)")
	fl.StringVar(&f.durability, "durability", "power", "what an accepted event survives: power (a power cut) or process (a crash of jet-bus, but not of the machine; faster)")
	fl.StringVar(&f.cert, "tls-cert", "", "PEM certificate `file`, for both addresses")
	fl.StringVar(&f.key, "tls-key", "", "PEM key `file`")
	fl.BoolVar(&f.insecure, "insecure", false, "listen beyond this machine without TLS")
	fl.Var(&f.maxStore, "max-store", "most `room` the store may take, such as 10GiB (default: what it was made with; for a new one 4 GiB, or three quarters of what is free if that is less)")
	f.bindExternal(cmd)
	fl.DurationVar(&f.lease, "lease", 0, "how soon a runner that died is noticed (default 12s, with --nats 24s); change it with the runners stopped, they read it when they start")
	fl.BoolVar(&f.acceptLoss, "accept-loss", false, "go on with a store that has lost what it had accepted; give it once, after reading what is lost")
	fl.BoolVar(&f.allowExec, "allow-exec", false, "let content have sources that run programs on this machine, as the user of jet-bus")
	fl.BoolVar(&f.dev, "dev", false, "run a runner in this process, and keep the state in a temporary directory unless --data says where")
	fl.BoolVarP(&f.verbose, "verbose", "v", false, "log more")
	f.hosts.Bind(cmd)
	cmd.AddCommand(demoCommand(env), userCommand(env, &f.data), clusterCommand(env, &f.data), restoreCommand(env, &f.data))
	return proc.Execute(ctx, env, cmd)
}

func (f *flags) serve(ctx context.Context, env proc.Env) (err error) {
	o := Options{
		Data: cmp.Or(f.data, access.DataDir(env)), Listen: f.listen, HTTP: f.http,
		TLSCert: f.cert, TLSKey: f.key, Insecure: f.insecure, MaxStore: int64(f.maxStore),
		Lease: queue.Timing{Lease: f.lease}, AcceptLoss: f.acceptLoss, AllowExec: f.allowExec,
	}
	switch f.durability {
	case "power":
		o.Sync = busserver.Power
	case "process":
		o.Sync = busserver.Process
	default:
		return proc.Usagef("--durability must be power or process, not %q", f.durability)
	}
	for flag, addr := range map[string]string{"--listen": f.listen, "--http": f.http} {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			return proc.Usagef("%s must be host:port, such as 127.0.0.1:4280, not %q", flag, addr)
		}
		if !loopback(addr) && f.cert == "" && !f.insecure {
			return fmt.Errorf("%s %s could be reached from other machines without TLS; give --tls-cert and --tls-key, or --insecure to insist", flag, addr)
		}
	}
	if (f.cert == "") != (f.key == "") {
		return proc.Usagef("--tls-cert and --tls-key go together")
	}
	if f.lease != 0 && f.lease < time.Second {
		return proc.Usagef("--lease must be 1s or more, not %s", f.lease)
	}
	level := slog.LevelInfo
	if f.verbose {
		level = slog.LevelDebug
	}
	o.Logger = env.Logger(level)
	if f.dev {
		if err := f.hosts.Check(env); err != nil {
			return err
		}
		if f.data == "" && env.Getenv("JET_DATA") == "" {
			if o.Data, err = os.MkdirTemp("", "jet-bus-dev-"); err != nil {
				return fmt.Errorf("make a data directory: %w", err)
			}
			defer func() { err = errors.Join(err, os.RemoveAll(o.Data)) }()
			_, _ = fmt.Fprintf(env.Stderr, "state is in a temporary directory; for jet: export JET_DATA=%s\n", o.Data)
		}
		o.Runner = &RunnerOptions{Dialer: f.hosts.Dialer(env)}
	}
	o.HooksFile, o.HooksOptional = cmp.Or(f.hooks, filepath.Join(o.Data, "hooks.yml")), f.hooks == ""
	if err := f.content.fill(env, &o); err != nil {
		return err
	}
	if f.nats != "" {
		if err := f.external(env, &o); err != nil {
			return err
		}
	}
	ctx, cancel := env.Context(ctx)
	defer cancel()
	p, err := Start(ctx, o)
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return nil // asked to stop before it had started
	}
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { p.reloads(ctx, env) })
	wg.Go(func() { settle(ctx) })
	wg.Go(func() { keepMemory(ctx, env.Getenv) })
	return p.Run(ctx)
}

// settleAfter is when what the server read to open the store has left its caches, which
// keep it for ten seconds.
const settleAfter = 15 * time.Second

// settle gives the memory back, once, that only the start has needed. By itself the runtime
// of a process at rest does so after some minutes.
func settle(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-time.After(settleAfter):
	}
	runtime.GC() // buffers in pools outlive one collection
	debug.FreeOSMemory()
}

// exclusive refuses flags that are about the embedded bus together with --nats,
// and the other way round.
func (f *flags) exclusive(changed func(string) bool) error {
	if f.nats == "" {
		for _, name := range []string{"creds", "ca", "replicas"} {
			if changed(name) {
				return proc.Usagef("--%s goes with --nats", name)
			}
		}
		return nil
	}
	for _, name := range []string{"listen", "durability", "dev"} {
		if changed(name) {
			return proc.Usagef("--%s is about the bus that jet-bus embeds; with --nats there is none", name)
		}
	}
	switch {
	case f.creds == "":
		return proc.Usagef("--nats needs --creds: bus.creds of jet-bus cluster init")
	case f.replicas < 1 || f.replicas > 5 || f.replicas%2 == 0:
		return proc.Usagef("--replicas must be 1, 3 or 5, not %d", f.replicas)
	}
	return nil
}

// external fills in how to reach a bus that is not embedded, and a name that
// tells this jet-bus from the others there, now and after a restart.
func (f *flags) external(env proc.Env, o *Options) error {
	way, err := access.Flags{Server: f.nats, Creds: f.creds, CA: f.ca}.Options(env, string(busserver.RoleBus))
	if err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("find a name for this jet-bus: %w", err)
	}
	data, err := filepath.Abs(o.Data)
	if err != nil {
		return fmt.Errorf("find a name for this jet-bus: %w", err)
	}
	o.Name = host + ":" + data
	way.Name = o.Name
	o.External = &External{Bus: way, Replicas: f.replicas}
	return nil
}

// reloads reads the content and the webhooks again at each SIGHUP.
func (p *Process) reloads(ctx context.Context, env proc.Env) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-env.Reload:
		}
		if err := p.Reload(ctx); err != nil {
			p.log.Error("content not reloaded, the one before stays in force", slog.Any("err", err))
		}
		p.reloadHooks(true)
	}
}

func demoCommand(env proc.Env) *cobra.Command {
	var keep, verbose bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show the whole way from a webhook to a converged host, in one process",
		Long: `demo starts a bus and a runner on loopback, posts a signed release webhook to
itself, lets the quickstart's rule fire, runs its playbook on this machine in a
temporary directory, and prints every task's result as it arrives on the bus.

Exit codes: 0 the job succeeded, 1 anything else, 2 wrong usage.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := env.Context(cmd.Context())
			defer cancel()
			level := slog.LevelWarn
			if verbose {
				level = slog.LevelDebug
			}
			return Demo(ctx, env.Stdout, env.Terminal, keep, env.Logger(level))
		},
	}
	cmd.Flags().BoolVar(&keep, "keep", false, "leave it running, and say where to look")
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "log what happens inside")
	return cmd
}

func userCommand(env proc.Env, data *string) *cobra.Command {
	cmd := &cobra.Command{Use: "user", Short: "Make credentials for runners and operators"}
	var role, out string
	var ttl time.Duration
	add := &cobra.Command{
		Use:   "add NAME",
		Short: "Print new credentials for a user",
		Long: `add prints credentials that let a runner or a person use this bus. They are
signed with the keys in the data directory; the bus need not run. Store them in
a file that only their user can read.

A publisher is any NATS client that publishes CloudEvents, structured or binary, on
events.ext.TYPE. To get the bus's acknowledgement, and with it the event's sequence,
its inbox prefix is set to _INBOX_publisher_NAME, which nobody else can read.`,
		Example: "  jet-bus user add --role runner --out r01.creds r01",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			switch busserver.Role(role) {
			case busserver.RoleAdmin, busserver.RoleRunner, busserver.RolePublisher, busserver.RoleViewer:
			default: // the bus makes its own
				return proc.Usagef("--role must be admin, runner, publisher or viewer, not %q", role)
			}
			dir := cmp.Or(*data, access.DataDir(env))
			keys, err := busserver.OpenKeys(filepath.Join(dir, "keys"))
			if err != nil {
				return err
			}
			creds, err := keys.Issue(busserver.Role(role), args[0], ttl)
			if err != nil {
				return err
			}
			if out != "" {
				return writeCreds(out, creds)
			}
			_, err = env.Stdout.Write(creds)
			return err
		},
	}
	add.Flags().StringVar(&role, "role", "", "`role` of the user: admin, runner, publisher or viewer")
	add.Flags().StringVar(&out, "out", "", "new `file` to write them to, for its owner only (default: print them)")
	add.Flags().DurationVar(&ttl, "expires", 0, "how long the credentials are good for (default: until revoked)")
	if err := add.MarkFlagRequired("role"); err != nil {
		panic(err) // the flag is right above
	}
	cmd.AddCommand(add)
	return cmd
}

// writeCreds writes credentials to a file that must not be there yet.
func writeCreds(name string, creds []byte) (err error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write credentials: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(creds); err != nil {
		return fmt.Errorf("write credentials %s: %w", name, err)
	}
	return nil
}
