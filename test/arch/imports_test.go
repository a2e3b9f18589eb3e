package arch

import (
	"slices"
	"strings"
	"testing"
)

// testOnly are packages that only tests, and each other, may import.
var testOnly = []string{"engine/conn/conntest", "internal/bus/bustest", "internal/source/sourcetest", "test"}

func TestImports(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, p := range tree(t) {
		seen[p.path()] = true
		allowed, ok := imports[p.path()]
		if !ok {
			t.Errorf("%s has no line in the table of test/arch/imports.go", p.path())
			continue
		}
		for _, path := range ours(p.Imports) {
			if !slices.Contains(allowed, path) {
				t.Errorf("%s imports %s, which the table of test/arch/imports.go does not allow", p.path(), path)
			}
		}
	}
	for path, allowed := range imports {
		if !seen[path] {
			t.Errorf("the table of test/arch/imports.go has a line for %s, which is gone", path)
		}
		for _, target := range allowed {
			if _, ok := imports[target]; !ok {
				t.Errorf("the table of test/arch/imports.go allows %s to import %s, which has no line", path, target)
			}
		}
	}
}

// The rules that no line of the table may bend, for whatever a package links.
func TestBorders(t *testing.T) {
	t.Parallel()
	const nats, natsServer = "github.com/nats-io", "github.com/nats-io/nats-server/v2"
	all := tree(t)
	for _, p := range all {
		for _, dep := range p.Deps {
			dep = strings.TrimPrefix(dep, module+"/")
			switch {
			case p.public() && in(dep, nats):
				t.Errorf("%s links %s: a public package knows no bus", p.path(), dep)
			case (in(p.path(), "engine") || in(p.path(), "modules")) &&
				(in(dep, "events") || in(dep, "internal/bus") || in(dep, "internal/queue")):
				t.Errorf("%s links %s: running a playbook needs no events", p.path(), dep)
			case (in(p.path(), "events") || in(p.path(), "rules")) && (in(dep, "engine") || in(dep, "modules")):
				t.Errorf("%s links %s: judging an event needs no hosts", p.path(), dep)
			case (p.path() == "cmd/jet" || p.path() == "cmd/jet-runner") && in(dep, natsServer):
				t.Errorf("%s links %s: only jet-bus carries a server", p.path(), dep)
			case (in(p.path(), "cmd") || p.public()) && p.path() != dep && onlyForTests(dep) && !onlyForTests(p.path()):
				t.Errorf("%s links %s, which is for tests", p.path(), dep)
			}
		}
		for _, path := range p.Imports {
			if in(path, natsServer) && p.path() != "internal/bus/busserver" && !in(p.path(), "test") {
				t.Errorf("%s imports %s: only internal/bus/busserver may", p.path(), path)
			}
		}
	}
	// A border around a package that does not exist would hold for ever.
	for _, path := range []string{"cmd/jet", "cmd/jet-runner", "events", "rules", "engine", "modules", "internal/bus/busserver"} {
		if !slices.ContainsFunc(all, func(p pkg) bool { return p.path() == path }) {
			t.Errorf("no package %s, which a border is drawn around", path)
		}
	}
}

func onlyForTests(path string) bool {
	return slices.ContainsFunc(testOnly, func(tree string) bool { return in(path, tree) })
}

// The name of a package is the noun it is about; these say nothing about it.
func TestPackageNames(t *testing.T) {
	t.Parallel()
	vague := []string{
		"util", "utils", "common", "helper", "helpers", "types", "misc", "base", "shared", "lib",
		"pkg", "tools", "impl", "core",
	}
	for _, p := range tree(t) {
		for _, part := range append(strings.Split(p.path(), "/"), p.Name) {
			if slices.Contains(vague, part) {
				t.Errorf("%s: a package named %s says nothing; name it after its noun", p.path(), part)
			}
		}
	}
}
