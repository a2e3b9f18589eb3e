package modules

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/internal/lazyregexp"
)

// aptManager is apt with dpkg below it.
type aptManager struct{ purge, autoremove bool }

// accepts refuses a slash, with which apt-get names a release.
func (aptManager) accepts(name string) bool { return !strings.ContainsAny(name, "/@~_") }

// installed asks dpkg for all packages at once. 1 says that one is not known.
func (a aptManager) installed(ctx context.Context, c conn.Conn, names []string) (map[string]packageState, error) {
	argv := append([]string{
		"dpkg-query", "--show", "--showformat=${db:Status-Want} ${db:Status-Status} ${Package} ${Architecture} ${Version}\\n", "--",
	}, names...)
	out, err := ask(ctx, c, argv...)
	if err != nil {
		return nil, err
	}
	if out.Code > 1 {
		return nil, toolError(argv, out)
	}
	found := make(map[string]packageState)
	for _, line := range lines(out.Stdout) {
		f := strings.Fields(line)
		if len(f) < 4 {
			continue
		}
		var s packageState
		switch {
		case f[1] == "installed" && len(f) == 5:
			s.version = f[4]
		case f[1] == "config-files" && a.purge:
		default:
			continue
		}
		if f[0] == "hold" {
			s.held = "take the hold off first (apt-mark unhold)"
		}
		for _, name := range names {
			if name == f[2] || name == f[2]+":"+f[3] {
				found[name] = s
			}
		}
	}
	return found, nil
}

// aptOffer is what the repositories know of a package: the version that would be
// installed, empty if there is none, and all versions.
type aptOffer struct {
	candidate string
	versions  []string
}

// aptVersion matches a version in the table of apt-cache policy.
var aptVersion = lazyregexp.New(`^ (?:\*\*\*|   ) (\S+) -?\d+$`)

// offers asks what the repositories know. A package that is not in the answer is
// not known to them.
func (aptManager) offers(ctx context.Context, c conn.Conn, names []string) (map[string]aptOffer, error) {
	printed, err := runTool(ctx, c, append([]string{"apt-cache", "policy"}, names...)...)
	if err != nil {
		return nil, err
	}
	found := make(map[string]aptOffer)
	at := ""
	for _, line := range lines(printed) {
		if name, ok := strings.CutSuffix(line, ":"); ok && !strings.HasPrefix(line, " ") {
			at = name
			continue
		}
		o := found[at]
		if v, ok := strings.CutPrefix(line, "  Candidate: "); ok {
			if o.candidate = v; v == "(none)" {
				o.candidate = ""
			}
		} else if m := aptVersion().FindStringSubmatch(line); m != nil {
			o.versions = append(o.versions, m[1])
		}
		found[at] = o
	}
	for _, name := range names { // the architecture may be left out
		short, _, ok := strings.Cut(name, ":")
		if o, known := found[short]; ok && known {
			found[name] = o
		}
	}
	return found, nil
}

// newer compares with the candidates, which are the whole truth: they have the
// epoch, and obey pins and priorities.
func (a aptManager) newer(ctx context.Context, c conn.Conn, have map[string]string) (map[string]string, error) {
	offers, err := a.offers(ctx, c, sortedKeys(have))
	if err != nil {
		return nil, err
	}
	next := make(map[string]string)
	for name, version := range have {
		if v := offers[name].candidate; v != version {
			next[name] = v
		}
	}
	return next, nil
}

// resolve finds the versions by their full names. A name that the repositories do
// not know is refused: apt-get may take it for an expression that matches others.
func (a aptManager) resolve(ctx context.Context, c conn.Conn, todo []packageChange) ([]packageChange, error) {
	var ask []packageChange // newer has seen the others
	for _, p := range todo {
		if !p.newest {
			ask = append(ask, p)
		}
	}
	if len(ask) == 0 {
		return todo, nil
	}
	offers, err := a.offers(ctx, c, changed(ask))
	if err != nil {
		return nil, err
	}
	out := slices.Clone(todo)
	for i, p := range out {
		o, known := offers[p.name]
		switch {
		case p.newest:
			continue
		case !known:
			return nil, unknownPackageError{name: p.name, err: errors.New("apt-cache policy does not know it")}
		case o.candidate == "" && len(o.versions) == 0:
			return nil, fmt.Errorf("%s is no package itself: name one that provides it", p.name)
		}
		if p.version != "" {
			full := firstVersion(p.version, o.versions)
			if full == "" {
				return nil, unknownVersion(p, o.versions...)
			}
			out[i].version = full
		}
	}
	return out, nil
}

// get runs apt-get: it asks nothing, keeps configuration files that were changed,
// and waits for another apt to finish.
func (aptManager) get(ctx context.Context, c conn.Conn, args ...string) error {
	return transact(ctx, c, map[string]string{"DEBIAN_FRONTEND": "noninteractive"}, append([]string{
		"apt-get", "-y", "-qq", "-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold",
		"-o", "DPkg::Lock::Timeout=300",
	}, args...))
}

func (a aptManager) install(ctx context.Context, c conn.Conn, todo []packageChange) error {
	return a.get(ctx, c, append([]string{"--allow-downgrades", "install"}, withVersions(todo, "=")...)...)
}

func (a aptManager) remove(ctx context.Context, c conn.Conn, names []string) error {
	args := []string{"remove"}
	if a.purge {
		args[0] = "purge"
	}
	if a.autoremove {
		args = []string{"--auto-remove", args[0]}
	}
	return a.get(ctx, c, append(args, names...)...)
}

func (a aptManager) refresh(ctx context.Context, c conn.Conn) error { return a.get(ctx, c, "update") }

// older says whether the lists are older than age, by the host's own clock: apt-get
// update works in this directory even when nothing is new.
func (aptManager) older(ctx context.Context, c conn.Conn, age time.Duration) (bool, error) {
	out, err := ask(ctx, c, "find", "/var/lib/apt/lists/partial", "-maxdepth", "0", "-mmin",
		"-"+strconv.Itoa(int((age+time.Minute-1)/time.Minute)))
	if err != nil {
		return false, err
	}
	return len(lines(out.Stdout)) == 0, nil // nothing is printed of a directory that is not there, too
}
