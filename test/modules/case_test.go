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
)

// Case is one thing that a module is asked for.
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
	// Login runs the task as the login user.
	Login bool
	// Probe is a shell script that root runs on the host, outside of jet: what it
	// prints is the state.
	Probe string
	// Want is what Probe must print after the run, without white space around.
	Want string
	// Need is what the first check must say: created, modified, removed, executed
	// or matched. Fields are what differs, where Need is modified.
	Need   string
	Fields []string
	// Diff are lines that the first check must show with --diff, such as "+answer=42".
	Diff []string
	// Always means that the module cannot know whether there is anything to do, so
	// that the second run does it again; its state must be the same all the same.
	Always bool
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
