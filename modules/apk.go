package modules

import (
	"context"
	"slices"
	"strings"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
)

// apk is the apk module, for Alpine Linux. It ensures that packages are installed,
// in one transaction, or that they are not.
//
// The result has, after a change, packages, with the versions before and after of
// each by its name, and for a single package also before and after by themselves;
// a version is empty where the package was not, or is not, installed.
type apk struct {
	// Params are the parameters of every package module.
	Params packageParams `yaml:",inline"`

	packages
}

// Validate checks parameters that exclude each other.
func (m *apk) Validate() error { return m.Params.validate(apkManager{}) }

func (m *apk) parameters() *packageParams { return &m.Params }

// Merge makes one transaction of several items.
func (m *apk) Merge(items []engine.Module) bool { return mergePackages(m, items, (*apk).parameters) }

// Preview reads ahead what Query reads.
func (m *apk) Preview(ctx context.Context, h *engine.Host) { _, _ = m.Query(ctx, h) }

func (m *apk) Query(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	return m.query(ctx, h, &m.Params, apkManager{})
}

func (m *apk) Apply(ctx context.Context, h *engine.Host, _ engine.Plan) (engine.Result, error) {
	return m.apply(ctx, h, &m.Params, apkManager{})
}

type apkManager struct{}

// accepts refuses files, and names with a repository or a comparison behind them.
func (apkManager) accepts(name string) bool { return !strings.ContainsAny(name, "/@~:") }

// installed asks for all packages at once. 1 says that one is not there.
func (apkManager) installed(ctx context.Context, c conn.Conn, names []string) (map[string]packageState, error) {
	argv := append([]string{"apk", "info", "--installed", "--verbose"}, names...)
	out, err := ask(ctx, c, argv...)
	if err != nil {
		return nil, err
	}
	if out.Code > 1 {
		return nil, toolError(argv, out)
	}
	found := make(map[string]packageState)
	for _, line := range lines(out.Stdout) {
		for _, name := range names {
			// What follows the name is a version, and no rest of a longer name.
			if v, ok := strings.CutPrefix(line, name+"-"); ok && v != "" && v[0] >= '0' && v[0] <= '9' {
				found[name] = packageState{version: v}
			}
		}
	}
	return found, nil
}

// newer reads the first version that the policy lists of each: the newest.
func (apkManager) newer(ctx context.Context, c conn.Conn, have map[string]string) (map[string]string, error) {
	printed, err := runTool(ctx, c, append([]string{"apk", "policy"}, sortedKeys(have)...)...)
	if err != nil {
		return nil, err
	}
	next := make(map[string]string)
	at := "" // the package whose first version comes next
	for _, line := range lines(printed) {
		if name, ok := strings.CutSuffix(line, " policy:"); ok {
			at = name
		} else if version, ok := strings.CutSuffix(strings.TrimSpace(line), ":"); ok && at != "" {
			if version != have[at] {
				next[at] = version
			}
			at = ""
		}
	}
	return next, nil
}

func (apkManager) resolve(_ context.Context, _ conn.Conn, todo []packageChange) ([]packageChange, error) {
	return todo, nil
}

// install names the version only where one is asked for: apk keeps to it from
// then on.
func (apkManager) install(ctx context.Context, c conn.Conn, todo []packageChange) error {
	argv := []string{"apk", "add", "--no-progress"}
	if slices.ContainsFunc(todo, func(p packageChange) bool { return p.newest }) {
		argv = append(argv, "--upgrade")
	}
	for _, p := range todo {
		switch {
		case p.version == "" || p.newest:
			argv = append(argv, p.name)
		case strings.HasSuffix(p.version, "*"):
			argv = append(argv, p.name+"~"+strings.TrimRight(p.version, "*."))
		default:
			argv = append(argv, p.name+"="+p.version)
		}
	}
	return transact(ctx, c, nil, argv)
}

func (apkManager) remove(ctx context.Context, c conn.Conn, names []string) error {
	return transact(ctx, c, nil, append([]string{"apk", "del", "--no-progress"}, names...))
}

func (apkManager) refresh(ctx context.Context, c conn.Conn) error {
	return transact(ctx, c, nil, []string{"apk", "update"})
}
