package modules

// Kind is a kind of host.
type Kind string

// The kinds of hosts. A case without kinds runs on Debian.
const (
	// Debian is Debian 12 under systemd, reached as a user who may sudo.
	Debian Kind = "debian"
	// Packages is a host with several package managers and repositories of the
	// suite's own.
	Packages Kind = "packages"
	// Engine is Debian with a container engine: that of this machine. It has the
	// image registry.example.com/app:1.0.
	Engine Kind = "engine"
)

// Case is one thing that a module is asked for.
//
// A few hosts of a kind serve all cases, several at once, and each host one case
// after another, in no promised order. So a case uses paths, accounts, units and
// ports of its own, makes in Before all that it needs, and does not care for what
// others left; where that cannot be, it is Alone.
type Case struct {
	// Module is the module's name, Name what is asked of it: both name the test.
	Module, Name string
	// Kinds are the kinds of hosts to run on, each a test of its own.
	Kinds []Kind
	// Alone means that the case needs a host that no other case has touched or
	// will touch.
	Alone bool
	// Before is a shell script that root runs on the host first, outside of jet.
	Before string
	// Files are put beside the playbook: files/NAME, templates/NAME and so on.
	Files map[string]string
	// Vars are variables of the play, as YAML.
	Vars string
	// Task is the task, as YAML without the dash: "!copy\nsrc: a\ndest: /b\n". It
	// is run by sudo as root unless Login is set.
	Task string
	// Then are further tasks of the play, such as an assert on what Task stored.
	// They must not fail, and change nothing; check mode runs them too.
	Then []string
	// Login runs the task as the login user.
	Login bool
	// Probe is a shell script that root runs on the host, outside of jet: what it
	// prints is the state.
	Probe string
	// Want is what Probe must print after the run, without white space around.
	Want string
	// Need is what the first check must say: created, modified, removed, executed,
	// passive or matched. Fields are what differs, where Need is modified.
	Need   string
	Fields []string
	// Ran is what the run says, where only the run can know that it is something
	// else than Need: a command whose changed_when does not hold is passive.
	Ran string
	// Says is a part of the run's message.
	Says string
	// Diff are lines that the first check must show with --diff, such as "+answer=42".
	Diff []string
	// Always means that the module cannot know whether there is anything to do, so
	// that the second run does it again; its state must be the same all the same.
	Always bool
	// Unwatched are paths of files that may change though nothing is done, such as
	// what a tool of the host keeps of its own; all below them counts.
	Unwatched []string
	// Fails is what the run must fail with; the host must be as it was then. A case
	// that fails has no Want.
	Fails string
}

// cases are all cases, added to by the files of this package.
var cases []Case

// add adds cases; it is called to initialize a variable of each file.
func add(c ...Case) bool {
	cases = append(cases, c...)
	return true
}

func (c Case) kinds() []Kind {
	if len(c.Kinds) == 0 {
		return []Kind{Debian}
	}
	return c.Kinds
}
