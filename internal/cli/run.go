package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/inventory"
	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/hosts"
	"github.com/jet-bus/jet-bus/internal/proc"
	"github.com/jet-bus/jet-bus/internal/report"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
	"github.com/jet-bus/jet-bus/modules"
)

type runFlags struct {
	hosts       hosts.Flags
	inventories []string
	connection  string
	check       bool
	limit       []string
	extra       []string
	roles       []string
	sudo        string
	port        int
	forks       int
}

func (a *app) runCommand() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run PLAYBOOK [-i INVENTORY]",
		Short: "Run a playbook, with no bus",
		Long: `run runs a playbook on the hosts of an inventory, with no bus at all.

With --connection local it runs on this machine, as the host localhost, and
takes no inventory. With --json it prints one event for each task and host, the
same that a runner puts on the bus.

Exit codes: 0 every host is as asked, 1 a host failed or something is wrong
with the files, 2 wrong usage.`,
		Example: `  jet run site.yml -i inventory
  jet run site.yml -i inventory --check --limit web
  jet run site.yml --connection local -e '{"version": "2.0"}' -e @vars.yml`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.validate(cmd); err != nil {
				return err
			}
			return a.run(cmd.Context(), args[0], f)
		},
	}
	f.hosts.Bind(cmd)
	fs := cmd.Flags()
	fs.StringArrayVarP(&f.inventories, "inventory", "i", nil, "inventory `directory` or program; may be repeated")
	fs.StringVarP(&f.connection, "connection", "c", "ssh", "how to reach the hosts: ssh, or local for this machine")
	fs.BoolVar(&f.check, "check", false, "change nothing, report what would be done")
	fs.StringSliceVarP(&f.limit, "limit", "l", nil, "only these hosts or `groups`, separated by commas")
	fs.StringArrayVarP(&f.extra, "extra-vars", "e", nil, "variables that win over all others: a JSON `object`, or @file.yml; may be repeated")
	fs.StringArrayVarP(&f.roles, "roles", "r", nil, "`directory` to look for roles in, before roles/ beside the playbook; may be repeated")
	fs.StringVar(&f.sudo, "sudo", "", "`name` of the user to become, where the playbook names none")
	fs.IntVar(&f.port, "port", 0, "SSH port, where the inventory names none (default 22)")
	fs.IntVarP(&f.forks, "forks", "f", 20, "how many hosts to work on at once")
	return cmd
}

// validate checks what was given by itself. A limit that names nothing, such as
// an empty shell variable, must not become one to all hosts.
func (f *runFlags) validate(cmd *cobra.Command) error {
	var names []string
	for _, name := range f.limit {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	f.limit = names
	switch {
	case cmd.Flags().Changed("limit") && len(f.limit) == 0:
		return proc.Usagef("--limit names no host or group; leave it out to run on all")
	case cmd.Flags().Changed("port") && (f.port < 1 || f.port > 65535):
		return proc.Usagef("--port must be 1 to 65535, not %d", f.port)
	case f.connection != "ssh" && f.connection != "local":
		return proc.Usagef("--connection must be ssh or local, not %q", f.connection)
	case f.connection == "local" && len(f.inventories) > 0:
		return proc.Usagef("--connection local runs on this machine and takes no inventory")
	case f.connection == "ssh" && len(f.inventories) == 0:
		return proc.Usagef("give an inventory with -i, or --connection local")
	case f.forks < 1:
		return proc.Usagef("--forks must be 1 or more, not %d", f.forks)
	default:
		return nil
	}
}

func (a *app) run(ctx context.Context, file string, f runFlags) error {
	o := engine.Options{
		Check: f.check, Limit: f.limit, Sudo: f.sudo, SSHUser: f.hosts.User, SSHPort: f.port, Forks: f.forks,
		Dialer: f.hosts.Dialer(a.env),
	}
	o.Local = f.connection == "local"
	var err error
	if o.ExtraVars, err = extraVars(f.extra); err != nil {
		return err
	}
	reg, err := engine.NewRegistry(modules.Table()...)
	if err != nil {
		return err
	}
	roles := append(f.roles, strings.FieldsFunc(a.env.Getenv("JET_ROLES_PATH"), func(r rune) bool { return r == ':' })...)
	pb, err := engine.Parse(file, reg, engine.ParseOptions{RolesPath: roles})
	if err != nil {
		return err
	}
	inv := inventory.Local()
	if !o.Local {
		if inv, err = inventory.Load(ctx, f.inventories...); err != nil {
			return err
		}
	}
	for _, w := range inv.Warnings() {
		_, _ = fmt.Fprintf(a.env.Stderr, "warning: %s\n", proc.Printable(w))
	}
	return a.runPlaybook(ctx, pb, inv, o)
}

// runPlaybook runs and prints.
func (a *app) runPlaybook(ctx context.Context, pb *engine.Playbook, inv *inventory.Inventory, o engine.Options) error {
	printer := report.NewPrinter(a.env.Stdout, a.env.Terminal)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	seq := 0
	run := "/runs/" + uuid.NewString()
	o.Report = func(e engine.Event) {
		if e.Kind != engine.TaskFinished {
			return
		}
		seq++
		t := report.Task(e)
		t.Attempt, t.Seq = 1, seq
		err := printer.Err()
		if a.json {
			err = a.taskEvent(run, t)
		} else {
			printer.Task(t)
		}
		if err != nil {
			cancel(fmt.Errorf("write output: %w", err))
		}
	}
	sum, err := engine.Run(ctx, pb, inv, o)
	if !a.json && (err == nil || len(sum.Hosts) > 0) {
		printer.Recap()
	}
	if err != nil {
		return err
	}
	if sum.Failed() {
		return proc.ErrSilent // the results have said what failed
	}
	return nil
}

// taskEvent prints a result as the event that a runner would publish.
func (a *app) taskEvent(run string, t events.TaskFinished) error {
	e, err := events.New(run, events.TypeTaskFinished, t)
	if err != nil {
		return err
	}
	e.SetSubject(t.Host)
	return a.line(e)
}

// extraVars blends the values of -e in the order given.
func extraVars(args []string) (map[string]any, error) {
	vars := map[string]any{}
	for _, arg := range args {
		name, text := "-e", []byte(arg)
		if file, ok := strings.CutPrefix(arg, "@"); ok {
			data, err := os.ReadFile(file)
			if err != nil {
				return nil, fmt.Errorf("read extra variables: %w", err)
			}
			name, text = file, data
		} else if !json.Valid(text) {
			return nil, proc.Usagef("-e takes a JSON object or @file.yml, not %q", arg)
		}
		f, err := strictyaml.Parse(name, text) // JSON is YAML
		if err != nil {
			return nil, err
		}
		if f.Root == nil {
			continue // an empty file
		}
		v, err := f.Value(f.Root)
		if err != nil {
			return nil, err
		}
		m, ok := v.(map[string]any)
		if !ok {
			return nil, proc.Usagef("-e takes an object of variables, and %s is none", arg)
		}
		vars, _ = inventory.Blend(vars, m).(map[string]any)
	}
	return vars, nil
}
