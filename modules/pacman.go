package modules

import (
	"context"
	"fmt"
	"strings"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/internal/lazyregexp"
)

// pacman is the pacman module, for Arch Linux and what descends from it. It ensures
// that packages are installed, in one transaction, or that they are not. A package
// may be named with its repository in front: extra/git.
//
// Pacman's repositories know the newest version only: another one can be asked
// for, and is then a failure unless the host has it. A package in IgnorePkg is
// never updated: a task that would have to is a failure.
//
// The result has, after a change, packages, with the versions before and after of
// each by its name, and for a single package also before and after by themselves;
// a version is empty where the package was not, or is not, installed.
type pacman struct {
	// Params are the parameters of every package module.
	Params packageParams `yaml:",inline"`

	packages
}

// Validate checks parameters that exclude each other.
func (m *pacman) Validate() error { return m.Params.validate(pacmanManager{}) }

func (m *pacman) parameters() *packageParams { return &m.Params }

// Merge makes one transaction of several items.
func (m *pacman) Merge(items []engine.Module) bool {
	return mergePackages(m, items, (*pacman).parameters)
}

// Preview reads ahead what Query reads.
func (m *pacman) Preview(ctx context.Context, h *engine.Host) { _, _ = m.Query(ctx, h) }

func (m *pacman) Query(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	return m.query(ctx, h, &m.Params, pacmanManager{})
}

func (m *pacman) Apply(ctx context.Context, h *engine.Host, _ engine.Plan) (engine.Result, error) {
	return m.apply(ctx, h, &m.Params, pacmanManager{})
}

type pacmanManager struct{}

func (pacmanManager) accepts(name string) bool { return strings.Count(name, "/") <= 1 }

// installed asks for all packages at once. 1 says that one is not there.
func (pacmanManager) installed(ctx context.Context, c conn.Conn, names []string) (map[string]packageState, error) {
	argv := append([]string{"pacman", "-Q", "--"}, bases(names)...)
	out, err := ask(ctx, c, argv...)
	if err != nil {
		return nil, err
	}
	if out.Code > 1 || out.Code == 1 && !strings.Contains(text(out.Stderr), "was not found") {
		return nil, toolError(argv, out)
	}
	found := make(map[string]packageState)
	for _, line := range lines(out.Stdout) {
		f := strings.Fields(line)
		for _, name := range names {
			if len(f) == 2 && base(name) == f[0] {
				found[name] = packageState{version: f[1]}
			}
		}
	}
	return found, nil
}

// pacmanUpdate matches what pacman says of an update.
var pacmanUpdate = lazyregexp.New(`^(\S+) \S+ -> (\S+)( \[ignored\])?$`)

// newer asks for what the lists offer; -Qu says nothing and fails where there is
// nothing newer.
func (pacmanManager) newer(ctx context.Context, c conn.Conn, have map[string]string) (map[string]string, error) {
	names := sortedKeys(have)
	argv := append([]string{"pacman", "-Qu", "--"}, bases(names)...)
	out, err := ask(ctx, c, argv...)
	if err != nil {
		return nil, err
	}
	if out.Code > 1 {
		return nil, toolError(argv, out)
	}
	next := make(map[string]string)
	for _, line := range lines(out.Stdout) {
		m := pacmanUpdate().FindStringSubmatch(line)
		for _, name := range names {
			switch {
			case m == nil || base(name) != m[1]:
			case m[3] != "":
				return nil, held(name, packageState{have[name], "pacman.conf has it in IgnorePkg or IgnoreGroup"})
			default:
				next[name] = m[2]
			}
		}
	}
	return next, nil
}

// resolve compares a version that is asked for with the only one there is.
func (pacmanManager) resolve(ctx context.Context, c conn.Conn, todo []packageChange) ([]packageChange, error) {
	for _, p := range todo {
		if p.version == "" || p.newest {
			continue
		}
		argv := []string{"pacman", "-Si", "--", p.name}
		out, err := ask(ctx, c, argv...)
		if err != nil {
			return nil, err
		}
		offered := keyValue(lines(out.Stdout), "Version")
		switch {
		case out.Code != 0 && strings.Contains(text(out.Stderr), "was not found"):
			return nil, unknownPackageError{p.name, toolError(argv, out)}
		case out.Code != 0:
			return nil, toolError(argv, out)
		case !sameVersion(p.version, offered):
			return nil, fmt.Errorf("installing %s %s: pacman installs the newest version only, which is %s", p.name, p.version, offered)
		}
	}
	return todo, nil
}

func (pacmanManager) install(ctx context.Context, c conn.Conn, todo []packageChange) error {
	return transact(ctx, c, nil, append([]string{"pacman", "-S", "--noconfirm", "--needed", "--"}, changed(todo)...))
}

func (pacmanManager) remove(ctx context.Context, c conn.Conn, names []string) error {
	return transact(ctx, c, nil, append([]string{"pacman", "-R", "--noconfirm", "--"}, bases(names)...))
}

func (pacmanManager) refresh(ctx context.Context, c conn.Conn) error {
	return transact(ctx, c, nil, []string{"pacman", "-Sy", "--noconfirm"})
}
