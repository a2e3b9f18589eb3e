package modules

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// state is a host as it is seen from outside.
type state struct {
	// probe is what the case's own probe prints.
	probe string
	// files are the host's files, each as path, kind, mode, owner, group, size and
	// time of change, and where a symbolic link leads.
	files []string
}

// looker is started with a probe. It runs it and then prints all files of the
// places where modules put something; what hosts change by themselves is not
// among them.
const looker = `(eval "$1") || exit
printf '\036\n'
find /etc /usr/local /opt /srv /home /root /var/spool/cron -xdev \
	\( -path '/home/*/.cache' -o -path /root/.cache -o -path /etc/mtab \) -prune -o \
	-printf '%p %y %m %u:%g %s %T@ %l\036' 2>/dev/null || true`

// look looks at the host.
func (s *site) look(t *testing.T, c Case) state {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := s.host.Exec(ctx, "sh", "-c", looker, "jet", c.Probe)
	if err != nil {
		t.Fatalf("looking at the host: %v", err)
	}
	probe, files, ok := strings.Cut(out, "\036\n")
	if !ok {
		t.Fatalf("looking at the host: the probe did not end: %q", tail(out))
	}
	at := state{probe: strings.TrimSpace(probe), files: strings.Split(strings.TrimSuffix(files, "\036"), "\036")}
	at.files = slices.DeleteFunc(at.files, func(file string) bool {
		return slices.ContainsFunc(c.Unwatched, func(path string) bool {
			rest, ok := strings.CutPrefix(file, path)
			return ok && (rest[0] == ' ' || rest[0] == '/')
		})
	})
	slices.Sort(at.files)
	return at
}

// since says what is not as it was before; empty if all is.
func (at state) since(before state) string {
	return cmp.Diff(before.probe, at.probe) + strings.Join(slices.Concat(
		only("gone", before.files, at.files), only("new", at.files, before.files)), "")
}

// only lists those of some that others lack.
func only(what string, some, others []string) []string {
	var out []string
	for _, file := range some {
		if _, found := slices.BinarySearch(others, file); !found {
			out = append(out, what+": "+file+"\n")
		}
	}
	return out
}

// settled is the state without the times of directories: what failed half way may
// have taken something back.
func (at state) settled() state {
	files := slices.Clone(at.files)
	for i, file := range files {
		if head, rest, ok := strings.Cut(file, " d "); ok {
			if f := strings.Fields(rest); len(f) >= 2 {
				files[i] = head + " d " + f[0] + " " + f[1]
			}
		}
	}
	slices.Sort(files)
	return state{probe: at.probe, files: files}
}
