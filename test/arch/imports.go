package arch

// imports lists every package of the module and what it may import of the module directly. A new
// package needs a line here; a line for a package that is gone is an error, so the table stays true.
// Paths are relative to the module. Tests may import more than the package they test, but see
// testOnly in the test.
//
// The left half of the product knows events, the right half knows hosts; they meet only in
// internal/report and in the processes (internal/busd, internal/runner, internal/cli).
var imports = map[string][]string{
	// Leaves that know neither half.
	"internal/lazyregexp": {},
	"internal/strictyaml": {"internal/lazyregexp"},
	"internal/proc":       {},
	"internal/pause":      {},
	"internal/releases":   {"internal/lazyregexp", "internal/pause"},
	"internal/outbound":   {"internal/proc"},
	"examples":            {},
	"docs":                {},

	// Events.
	"events":                 {},
	"rules":                  {"events", "internal/lazyregexp", "internal/strictyaml"},
	"internal/simulate":      {"events", "rules"},
	"internal/rulecase":      {"events", "internal/simulate", "internal/strictyaml", "rules"},
	"internal/rulegraph":     {"events", "internal/lazyregexp", "rules"},
	"internal/bus":           {"events"},
	"internal/bus/busserver": {"internal/bus"},
	"internal/bus/bustest":   {"internal/bus", "internal/bus/busserver"},
	"internal/control":       {"events", "internal/bus"},
	"internal/queue":         {"events", "internal/bus", "internal/control"},
	"internal/backup":        {"internal/bus"},
	"internal/notify": {
		"events", "internal/bus", "internal/outbound", "internal/pause", "internal/proc", "internal/strictyaml", "rules",
	},
	"internal/deliver": {
		"events", "internal/bus", "internal/dispatch", "internal/outbound", "internal/pause", "internal/proc",
		"internal/strictyaml", "rules",
	},
	"internal/doctor": {
		"internal/bus", "internal/control", "internal/deliver", "internal/dispatch", "internal/intake",
		"internal/queue",
	},
	"internal/dispatch": {"events", "internal/bus", "internal/control", "internal/queue", "rules"},
	"internal/ordered": {
		"events", "internal/bus", "internal/control", "internal/dispatch", "internal/pause", "internal/queue", "rules",
	},
	"internal/jobevent": {
		"events", "internal/bus", "internal/ordered", "internal/pause", "internal/queue", "rules",
	},
	"internal/content":        {},
	"internal/rulebook":       {"internal/lazyregexp", "internal/strictyaml"},
	"internal/repo":           {"internal/content", "internal/lazyregexp"},
	"internal/source":         {"events"},
	"internal/source/program": {"events", "internal/source", "internal/strictyaml"},
	"internal/intake": {
		"events", "internal/bus", "internal/control", "internal/pause", "internal/proc", "internal/releases",
		"internal/source", "internal/source/backfill", "internal/source/files", "internal/source/program",
		"internal/source/release", "internal/source/schedule", "internal/source/subject", "internal/strictyaml",
	},
	"internal/source/files": {"events", "internal/source", "internal/strictyaml"},
	"internal/source/release": {
		"events", "internal/outbound", "internal/pause", "internal/releases", "internal/source", "internal/strictyaml",
	},
	"internal/source/schedule": {"events", "internal/source", "internal/strictyaml"},
	"internal/source/subject": {
		"events", "internal/bus", "internal/outbound", "internal/proc", "internal/source", "internal/strictyaml",
	},
	"internal/source/sourcetest": {"events", "internal/source"},
	"internal/source/webhook": {
		"events", "internal/proc", "internal/source", "internal/source/backfill", "internal/strictyaml",
	},
	"internal/source/backfill": {"internal/lazyregexp", "internal/outbound", "internal/pause", "internal/proc", "internal/source"},
	"internal/web":             {"events", "internal/bus", "internal/queue"},

	// Hosts.
	"engine/conn":        {},
	"engine/conn/files":  {"engine/conn"},
	"engine/conn/launch": {"engine/conn", "internal/lazyregexp"},
	"engine/conn/sftpfs": {"engine/conn", "engine/conn/files"},
	"engine/conn/local": {
		"engine/conn", "engine/conn/files", "engine/conn/launch", "engine/conn/sftpfs", "engine/conn/shellfs",
	},
	"engine/conn/ssh/sshconfig": {},
	"engine/conn/ssh": {
		"engine/conn", "engine/conn/files", "engine/conn/launch", "engine/conn/sftpfs", "engine/conn/shellfs",
		"engine/conn/ssh/sshconfig",
	},
	"engine/conn/ahead":    {"engine/conn"},
	"engine/conn/pool":     {"engine/conn", "engine/conn/launch"},
	"engine/conn/shellfs":  {"engine/conn", "engine/conn/files", "internal/lazyregexp"},
	"engine/conn/conntest": {"engine/conn"},
	"engine/inventory":     {"internal/strictyaml"},
	"engine/template":      {"internal/strictyaml"},
	"engine": {
		"engine/conn", "engine/conn/ahead", "engine/inventory", "engine/template", "internal/lazyregexp",
		"internal/strictyaml",
	},
	"modules":        {"engine", "engine/conn", "engine/template", "internal/lazyregexp", "internal/releases", "internal/strictyaml"},
	"internal/hosts": {"engine/conn", "engine/conn/local", "engine/conn/ssh", "internal/proc"},
	// The modules' pages, made of their sources.
	"internal/reference": {"engine", "internal/lazyregexp", "internal/strictyaml"},

	// Where both halves meet: what a run says as events, and the processes.
	"internal/plans":  {"engine", "engine/inventory", "internal/queue", "internal/strictyaml", "modules", "rules"},
	"internal/report": {"engine", "events", "internal/proc"},
	"internal/access": {"internal/bus", "internal/proc"},
	"internal/busd": {
		"engine", "engine/conn", "engine/conn/local", "engine/inventory", "events", "examples", "internal/access",
		"internal/backup", "internal/bus", "internal/bus/busserver", "internal/content", "internal/control",
		"internal/deliver", "internal/dispatch", "internal/hosts", "internal/intake", "internal/jobevent",
		"internal/notify", "internal/ordered", "internal/pause", "internal/plans", "internal/proc", "internal/queue", "internal/repo", "internal/report", "internal/runner",
		"internal/source/webhook", "internal/strictyaml", "internal/web", "modules", "rules",
	},
	"internal/runner": {
		"engine", "engine/conn", "engine/conn/pool", "engine/inventory", "internal/access", "internal/bus",
		"internal/content", "internal/hosts", "internal/proc", "internal/queue", "internal/report",
		"modules",
	},
	"internal/cli": {
		"docs", "engine", "engine/conn", "engine/inventory", "events", "internal/access", "internal/backup",
		"internal/bus", "internal/content", "internal/control", "internal/deliver", "internal/dispatch",
		"internal/doctor", "internal/hosts", "internal/intake", "internal/notify", "internal/ordered",
		"internal/pause", "internal/plans", "internal/proc",
		"internal/queue", "internal/reference", "internal/report", "internal/rulebook", "internal/rulecase",
		"internal/rulegraph", "internal/runner", "internal/simulate", "internal/source/webhook", "internal/strictyaml", "modules",
		"rules",
	},
	"cmd/jet":        {"internal/cli", "internal/proc"},
	"cmd/jet-bus":    {"internal/busd", "internal/proc"},
	"cmd/jet-runner": {"internal/proc", "internal/runner"},

	// Tests of the whole.
	"test/arch":        {},
	"test/lab":         {},
	"test/process":     {},
	"test/e2e":         {},
	"test/ingress":     {},
	"test/rules":       {},
	"test/sources":     {},
	"test/doors":       {},
	"test/bench/rules": {"events", "rules"},
	"test/flood":       {"internal/access", "internal/bus", "internal/source/webhook"},
	"test/bench/flood": {"test/flood"},
	"test/cluster":     {"events", "internal/access", "internal/bus", "internal/queue"},
	"test/bench/s10": {
		"engine", "engine/conn", "engine/conn/pool", "engine/conn/ssh", "engine/inventory", "modules",
	},
	"test/chaos": {
		"events", "internal/access", "internal/bus", "internal/queue", "internal/source/webhook",
	},
	"test/conformance": {},
	"test/modules":     {},
	"test/releases":    {},
	"test/upgrade":     {},
	"test/upgrade/fixture": {
		"engine/conn/local", "events", "internal/bus", "internal/bus/busserver", "internal/busd", "internal/queue",
	},
	"test/powercut": {
		"events", "internal/access", "internal/bus", "internal/dispatch", "internal/queue", "internal/source/webhook",
	},
	"test/bench/flow": {
		"engine/conn/local", "events", "internal/access", "internal/bus", "internal/bus/busserver", "internal/busd",
		"internal/dispatch", "internal/queue", "internal/runner", "internal/source/webhook",
	},
}

// dependencies lists every module that go.mod requires directly, with what it is for. ARCHITECTURE.md
// says more on each: what it replaces and why it is trusted.
var dependencies = map[string]string{
	"github.com/Masterminds/semver/v3":  "compares versions in rule conditions",
	"github.com/cloudevents/sdk-go/v2":  "the event type, its JSON and its HTTP binding",
	"github.com/expr-lang/expr":         "conditions of rules and playbooks",
	"github.com/google/go-cmp":          "differences in tests",
	"github.com/google/uuid":            "ids of events and manual runs",
	"github.com/klauspost/compress":     "S2, which the server's copies of streams are packed with",
	"github.com/minio/highwayhash":      "the checksum of the server's block files",
	"github.com/mholt/archives":         "archives of every kind, for the modules archive and unpack",
	"github.com/nats-io/jwt/v2":         "credentials by role",
	"github.com/nats-io/nats-server/v2": "the embedded bus",
	"github.com/nats-io/nats.go":        "the client of the bus",
	"github.com/nats-io/nkeys":          "keys of the credentials",
	"github.com/pkg/sftp":               "another SFTP server, to test ours against",
	"github.com/rogpeppe/go-internal":   "tests of the commands as users run them, txtar archives",
	"github.com/spf13/cobra":            "the command line",
	"go.uber.org/goleak":                "finds goroutines that tests leave behind",
	"golang.org/x/crypto":               "SSH, and signatures of releases",
	"golang.org/x/sys":                  "file system calls that the standard library lacks",
	"golang.org/x/term":                 "whether output is a terminal, and how wide",
	"gopkg.in/yaml.v3":                  "YAML",
	"pgregory.net/rapid":                "property tests",
}
