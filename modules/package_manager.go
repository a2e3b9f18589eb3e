package modules

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/internal/lazyregexp"
)

// manager is a package manager. What its first four methods run only reads.
type manager interface {
	// accepts says whether a name that has the form of a package's is one to this
	// manager.
	accepts(name string) bool
	// installed returns what is known of those packages that are on the host.
	installed(ctx context.Context, c conn.Conn, names []string) (map[string]packageState, error)
	// newer returns the versions that an update would bring, of those packages in
	// have that there is another one of.
	newer(ctx context.Context, c conn.Conn, have map[string]string) (map[string]string, error)
	// resolve returns the packages with their versions as the manager names them.
	// It may leave it to install to find that there is no such package.
	resolve(ctx context.Context, c conn.Conn, todo []packageChange) ([]packageChange, error)

	// install brings packages to their versions, or the newest ones, at once.
	install(ctx context.Context, c conn.Conn, todo []packageChange) error
	// remove removes packages that are installed.
	remove(ctx context.Context, c conn.Conn, names []string) error
	// refresh reads the repositories' lists anew.
	refresh(ctx context.Context, c conn.Conn) error
}

// packageState is what is known of a package on the host.
type packageState struct {
	// version is empty where only the package's configuration is left.
	version string
	// held says that the package may not be changed, in the words of how.
	held string
}

// packageChange is a package that is to be installed, in a version, the newest one
// if that is empty, in place of the one that the host has, if it has any.
type packageChange struct {
	name, version, have string
	// newest says that the version is what an update brings: nobody named it.
	newest bool
}

// changed returns the names of packages.
func changed(todo []packageChange) []string {
	out := make([]string, len(todo))
	for i, p := range todo {
		out[i] = p.name
	}
	return out
}

// withVersions returns the packages as managers name one of their versions.
func withVersions(todo []packageChange, sep string) []string {
	out := make([]string, len(todo))
	for i, p := range todo {
		if out[i] = p.name; p.version != "" {
			out[i] += sep + p.version
		}
	}
	return out
}

// noPackage finds what managers say about a package that they do not know.
var noPackage = lazyregexp.New(`(?m)(?:Unable to find a match: |No match for argument: |No provider of '|` +
	`target not found: |No available formula (?:or cask )?with the name ")([^\s'"]+)|` +
	`^No package (\S+) available|^\s*([^\s:]+) \(no such package\)`)

// transact runs a command of a package manager that changes something. An exit
// status in fine is a success too.
func transact(ctx context.Context, c conn.Conn, env map[string]string, argv []string, fine ...int) error {
	out, err := c.Run(ctx, conn.Cmd{Argv: argv, Env: env})
	if script := slices.Index(argv, "-c"); argv[0] == "/bin/sh" && script > 0 {
		argv = argv[script+2:] // the script's own name stands for the program
	}
	if err != nil {
		return fmt.Errorf("running %s: %w", argv[0], err)
	}
	if out.Code == 0 || slices.Contains(fine, out.Code) {
		return nil
	}
	err = toolError(argv, out)
	for _, printed := range [][]byte{out.Stderr, out.Stdout} {
		if m := noPackage().FindStringSubmatch(text(printed)); m != nil && out.Code != 127 {
			return unknownPackageError{strings.Join(m[1:], ""), err}
		}
	}
	return err
}

// unknownPackageError is the failure to find a package in the repositories.
type unknownPackageError struct {
	name string
	err  error
}

func (e unknownPackageError) Error() string {
	return fmt.Sprintf("the repositories have no package %s", e.name)
}

func (e unknownPackageError) Unwrap() error { return e.err }

// unknownVersion is the failure to find a version of a package.
func unknownVersion(p packageChange, offered ...string) error {
	return fmt.Errorf("the repositories have no version %s of %s, but %s", p.version, p.name, strings.Join(offered, ", "))
}

// keyValue finds the value of key in lines such as "Version : 1.2".
func keyValue(printed []string, key string) string {
	for _, line := range printed {
		k, v, ok := strings.Cut(line, ":")
		if ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// base is the name of a package without the repository in front of it.
func base(name string) string { return path.Base(name) }

// bases returns the names without their repositories.
func bases(names []string) []string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = base(name)
	}
	return out
}

// held refuses to change a package that someone has put a hold on.
func held(name string, s packageState) error {
	if s.held == "" {
		return nil
	}
	return errors.New("package " + name + " is held at version " + s.version + ": " + s.held)
}

// packageData is what register stores of a change: the versions of every package
// before and after, and those of a single one also by themselves.
func packageData(names []string, before, after map[string]packageState) map[string]any {
	all := make(map[string]any, len(names))
	for _, name := range names {
		all[name] = map[string]any{"before": before[name].version, "after": after[name].version}
	}
	data := map[string]any{"packages": all}
	if len(names) == 1 {
		data["before"], data["after"] = before[names[0]].version, after[names[0]].version
	}
	return data
}

// packageDiff shows packages before and after; the version of one that is not
// known beforehand is left out.
func packageDiff(h *engine.Host, before, after []string) []engine.Diff {
	if !h.Diff || len(before)+len(after) == 0 {
		return nil
	}
	join := func(lines []string) string {
		if len(lines) == 0 {
			return ""
		}
		return strings.Join(lines, "\n") + "\n"
	}
	return []engine.Diff{{Path: "packages", Before: join(before), After: join(after)}}
}
