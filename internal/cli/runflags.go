package cli

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/jet-bus/jet-bus/internal/hosts"
	"github.com/jet-bus/jet-bus/internal/proc"
)

// runFlags are the flags of jet run.
type runFlags struct {
	hosts hosts.Flags

	// Which tasks.
	tags, skipTags []string
	startAt        string
	extra          []string
	roles, modules []string

	// Which hosts.
	inventories []string
	connection  string
	limit       []string

	// In which way.
	check, diff, exitChanged bool
	forks, batchSize         int
	sudo                     string
	localDelegation          bool

	// How to reach them.
	port              int
	askLogin, askSudo bool

	// With a bus.
	asJob bool

	// What to print.
	verbose                      bool
	log                          string
	listTasks, listHosts, syntax bool
}

// bind gives the flags to a command, in the groups that its help shows.
func (f *runFlags) bind(cmd *cobra.Command) {
	where := newFlagGroup("Where")
	where.Flags().StringArrayVarP(&f.inventories, "inventory", "i", nil, "inventory `directory` or program; may be repeated")
	where.Flags().StringSliceVarP(&f.limit, "limit", "l", nil, "only these hosts or groups, separated by commas; a `pattern` may be a glob such as 'web*', !name leaves out, &name keeps what is in both")
	where.Flags().StringVarP(&f.connection, "connection", "c", "ssh", "`way` to reach the hosts: ssh, or local for this machine and no other")

	what := newFlagGroup("What")
	what.Flags().StringSliceVar(&f.tags, "tags", nil, "only tasks with one of these `tags`, separated by commas; may be repeated")
	what.Flags().StringSliceVar(&f.skipTags, "skip-tags", nil, "no task with one of these `tags`, also if --tags names it")
	what.Flags().StringVar(&f.startAt, "start-at", "", "leave out the tasks before the first with this `name`")
	what.Flags().StringArrayVarP(&f.extra, "extra-vars", "e", nil, "variables that win over all others: a JSON `object`, or @file.yml; may be repeated, later ones win")
	what.Flags().StringArrayVarP(&f.roles, "roles", "r", nil, "`directory` to look for roles in, before $JET_ROLES_PATH and roles/ beside the playbook; may be repeated")
	what.Flags().StringArrayVar(&f.modules, "modules", nil, "`directory` to look for the modules of external tasks in, before $JET_MODULES_PATH; may be repeated")

	how := newFlagGroup("How")
	how.Flags().BoolVar(&f.check, "check", false, "change nothing, report what would be done")
	how.Flags().BoolVar(&f.diff, "diff", false, "show what changes in files")
	how.Flags().BoolVar(&f.exitChanged, "exit-changed", false, "with --check: exit with 3 if anything would be changed")
	how.Flags().IntVarP(&f.forks, "forks", "f", defaultForks, "how many `hosts` to work on at once; $JET_THREADS says so too")
	how.Flags().IntVar(&f.forks, "threads", defaultForks, "the same as --forks")
	how.Flags().IntVar(&f.batchSize, "batch-size", 0, "how many `hosts` to bring through a play before the next, where the play says nothing (default all)")
	how.Flags().StringVar(&f.sudo, "sudo", "", "`name` of the user to become, where the playbook names none")
	how.Flags().BoolVar(&f.localDelegation, "allow-localhost-delegation", false, "let tasks be delegated to this machine")

	reach := newFlagGroup("Connections")
	f.hosts.Bind(reach.Command)
	reach.Flags().IntVar(&f.port, "port", 0, "SSH port `number`, where the inventory names none (default $JET_SSH_PORT, else 22)")
	reach.Flags().BoolVar(&f.askLogin, "ask-login-password", false, "ask for the password to log in with")
	reach.Flags().BoolVar(&f.askSudo, "ask-sudo-password", false, "ask for the password that sudo wants")

	output := newFlagGroup("Output")
	output.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "show the output of every command")
	output.Flags().StringVar(&f.log, "log", "", "`file` to append the events of the run to, in JSON (default $JET_LOG)")
	output.Flags().BoolVar(&f.listTasks, "list-tasks", false, "print the tasks that would run, and run nothing")
	output.Flags().BoolVar(&f.listHosts, "list-hosts", false, "print the hosts they would run on, and run nothing")
	output.Flags().BoolVar(&f.syntax, "syntax-check", false, "read all files, print all faults, and run nothing")

	onBus := newFlagGroup("With a bus")
	onBus.Flags().BoolVar(&f.asJob, "as-job", false, "run as a job of the bus: wait for hosts that other jobs hold, hold them, and put the results there")
	onBus.inherited = []string{"bus", "server", "creds", "ca"}

	bindGroups(cmd, runHelp, where, what, how, reach, onBus, output)
	_ = cmd.Flags().MarkHidden("threads") // it is there
}

const (
	// defaultForks is how many hosts are worked on at once unless told otherwise.
	defaultForks = 20

	runHelp = `The environment: JET_SSH_USER, JET_SSH_PORT, JET_THREADS, JET_ROLES_PATH,
JET_MODULES_PATH and JET_LOG say what --user, --port, --forks, --roles, --modules
and --log do, and flags go before them. JET_SSH_KEY_COMMENT chooses a key of the
agent, JET_SSH_PRIVATE_KEY_PASSPHRASE opens key files, where the inventory says
nothing else. NO_COLOR turns colours off.

Passwords are asked for on the terminal. Without one they are read from the
standard input, a line each, that of the login first.

Exit codes:
    0  every host is as asked
    1  a host failed or could not be reached, a file has faults, or with --as-job:
       the job was cancelled, or lost its bus
    2  wrong usage
    3  with --check --exit-changed: something would be changed, nothing failed
  130  stopped by SIGINT, 143 by SIGTERM; with --as-job the job is cancelled then,
       and not given back`
)

// validate checks what was given by itself, and fills in what the environment
// says. Names that name nothing, such as an empty shell variable, must not become
// a wish for everything.
func (f *runFlags) validate(cmd *cobra.Command, env proc.Env) error {
	for _, l := range []struct {
		flag, empty string
		names       *[]string
	}{
		{"limit", "no host or group; leave it out to run on all", &f.limit},
		{"tags", "no tag; leave it out to run all tasks", &f.tags},
		{"skip-tags", "no tag; leave it out to run all tasks", &f.skipTags},
	} {
		*l.names = named(*l.names)
		if cmd.Flags().Changed(l.flag) && len(*l.names) == 0 {
			return proc.Usagef("--%s names %s", l.flag, l.empty)
		}
	}
	if err := f.numbers(cmd, env); err != nil {
		return err
	}
	modes := 0
	for _, on := range []bool{f.listTasks, f.listHosts, f.syntax} {
		if on {
			modes++
		}
	}
	local, given := f.connection == "local", len(f.inventories) > 0
	switch {
	case modes > 1:
		return proc.Usagef("--list-tasks, --list-hosts and --syntax-check exclude each other")
	case f.exitChanged && !f.check:
		return proc.Usagef("--exit-changed goes with --check")
	case cmd.Flags().Changed("start-at") && strings.TrimSpace(f.startAt) == "":
		return proc.Usagef("--start-at names no task; leave it out to begin with the first")
	case f.connection != "ssh" && !local:
		return proc.Usagef("--connection must be ssh or local, not %q", f.connection)
	case local && given:
		return proc.Usagef("--connection local runs on this machine and takes no inventory")
	case !local && !given && !f.listTasks && !f.syntax:
		return proc.Usagef("give an inventory with -i, or --connection local")
	case local || modes > 0:
		return nil // nothing is connected to
	default:
		return f.hosts.Check(env)
	}
}

// numbers checks the flags that are numbers.
func (f *runFlags) numbers(cmd *cobra.Command, env proc.Env) error {
	set := cmd.Flags().Changed
	ports, forks := "--port", "--forks"
	if name := "JET_SSH_PORT"; !set("port") && env.Getenv(name) != "" {
		if err := number(env, name, &f.port); err != nil {
			return err
		}
		ports = name
	}
	if name := "JET_THREADS"; !set("forks") && !set("threads") && env.Getenv(name) != "" {
		if err := number(env, name, &f.forks); err != nil {
			return err
		}
		forks = name
	}
	switch {
	case (set("port") || ports != "--port") && (f.port < 1 || f.port > 65535):
		return proc.Usagef("%s must be 1 to 65535, not %d", ports, f.port)
	case f.forks < 1:
		return proc.Usagef("%s must be 1 or more, not %d", forks, f.forks)
	case set("batch-size") && f.batchSize < 1:
		return proc.Usagef("--batch-size must be 1 or more, not %d", f.batchSize)
	default:
		return nil
	}
}

// number reads a number from the environment.
func number(env proc.Env, name string, to *int) error {
	n, err := strconv.Atoi(env.Getenv(name))
	if err != nil {
		return proc.Usagef("%s must be a number, not %q", name, env.Getenv(name))
	}
	*to = n
	return nil
}

// named returns the names of a list that are not empty.
func named(list []string) []string {
	var names []string
	for _, name := range list {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// paths takes the path of an environment variable apart.
func paths(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ':' })
}
