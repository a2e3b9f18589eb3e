package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/inventory"
	"github.com/jet-bus/jet-bus/internal/proc"
	"github.com/jet-bus/jet-bus/modules"
)

func (a *app) runCommand() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run PLAYBOOK... [-i INVENTORY]",
		Short: "Run playbooks from here, with no bus or as a job of one",
		Long: `run runs playbooks on the hosts of an inventory, with no bus at all: one after
the other, as one run, in which facts and saved values stay known.

With --connection local it runs on this machine, as the host localhost, and
takes no inventory. With --json it prints an event for each step, those for task
results being the same that a runner puts on the bus. Only tasks that publish
events need a bus, which is found as the other commands find it.`,
		Example: `  jet run site.yml -i inventory
  jet run site.yml -i inventory --check --diff --limit 'web*,!web3'
  jet run site.yml -i inventory --tags config --ask-sudo-password
  jet run site.yml --connection local -e '{"version": "2.0"}' -e @vars.yml
  jet run site.yml -i inventory --as-job --bus /var/lib/jet-bus`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("name a playbook, or several")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.validate(cmd, a.env); err != nil {
				return err
			}
			return a.run(cmd.Context(), args, &f)
		},
	}
	f.bind(cmd)
	return cmd
}

// run reads everything, and then does what the flags ask for.
func (a *app) run(ctx context.Context, files []string, f *runFlags) error {
	o, err := a.options(f)
	if err != nil {
		return err
	}
	pb, err := a.parse(files, f)
	if err == nil && (f.listTasks || f.startAt != "") {
		var tasks []engine.TaskInfo
		if tasks, err = pb.Tasks(o); err == nil && f.listTasks {
			return a.listTasks(tasks)
		}
	}
	// A check of the files wants all faults, those of the inventory too.
	if err != nil && !f.syntax {
		return err
	}
	inv, ierr := a.inventory(ctx, f)
	if err = errors.Join(err, ierr); err != nil {
		return err
	}
	if f.syntax && len(f.inventories) == 0 && !o.Local {
		return a.noFaults(files, nil)
	}
	hosts, err := pb.Hosts(inv, f.limit)
	switch {
	case err != nil:
		return err
	case f.syntax:
		return a.noFaults(files, hosts)
	case f.listHosts:
		return a.listHosts(hosts)
	default:
		return a.play(ctx, session{flags: f, files: files, playbook: pb, inventory: inv, hosts: hosts, options: o})
	}
}

// options returns what the flags say to the engine.
func (a *app) options(f *runFlags) (engine.Options, error) {
	extra, err := extraVars(f.extra)
	if err != nil {
		return engine.Options{}, err
	}
	return engine.Options{
		Dialer:          f.hosts.Dialer(a.env),
		Check:           f.check,
		Limit:           f.limit,
		ExtraVars:       extra,
		Sudo:            f.sudo,
		SSHUser:         f.hosts.User,
		SSHPort:         f.port,
		Local:           f.connection == "local",
		Jump:            f.hosts.Jump,
		Tags:            f.tags,
		SkipTags:        f.skipTags,
		StartAt:         f.startAt,
		Diff:            f.diff,
		BatchSize:       f.batchSize,
		LocalDelegation: f.localDelegation,
		ModulesPath:     append(f.modules, paths(a.env.Getenv("JET_MODULES_PATH"))...),
		ProcessEnv:      processEnv(os.Environ()),
		Forks:           f.forks,
	}, nil
}

// parse reads the playbooks and reports the faults of all of them. Each one finds
// the roles beside the others too.
func (a *app) parse(files []string, f *runFlags) (*engine.Playbook, error) {
	reg, err := engine.NewRegistry(modules.Table()...)
	if err != nil {
		return nil, err
	}
	given := append(f.roles, paths(a.env.Getenv("JET_ROLES_PATH"))...)
	var beside []string
	if len(files) > 1 {
		for _, file := range files {
			beside = append(beside, filepath.Join(filepath.Dir(file), "roles"))
		}
	}
	var pbs []*engine.Playbook
	var faults []error
	said := map[string]bool{}
	for i, file := range files {
		roles := given
		if len(beside) > 0 {
			roles = append(append(slices.Clip(given), beside[i]), beside...)
		}
		pb, err := engine.Parse(file, reg, engine.ParseOptions{RolesPath: roles})
		pbs = append(pbs, pb)
		if err == nil {
			continue
		}
		// What several playbooks share is said once.
		var lines []string
		for line := range strings.SplitSeq(err.Error(), "\n") {
			if !said[line] {
				said[line] = true
				lines = append(lines, line)
			}
		}
		if len(lines) > 0 {
			faults = append(faults, errors.New(strings.Join(lines, "\n")))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return engine.Join(pbs...), nil
}

// inventory loads the inventory that the flags name, and shows its warnings.
func (a *app) inventory(ctx context.Context, f *runFlags) (*inventory.Inventory, error) {
	if len(f.inventories) == 0 {
		return inventory.Local(), nil
	}
	return a.loadInventory(ctx, f.inventories)
}

func (a *app) loadInventory(ctx context.Context, names []string) (*inventory.Inventory, error) {
	inv, err := inventory.Load(ctx, names...)
	if err != nil {
		return nil, err
	}
	for _, w := range inv.Warnings() {
		_, _ = fmt.Fprintf(a.env.Stderr, "warning: %s\n", proc.Printable(w))
	}
	return inv, nil
}
