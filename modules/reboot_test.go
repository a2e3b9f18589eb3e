package modules

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// told is a host with some files and answers of programs.
type told struct {
	conn.Conn
	files   map[string]string
	answers map[string]conn.Output
}

func (h told) Open(_ context.Context, name string) (io.ReadCloser, error) {
	text, ok := h.files[name]
	if !ok {
		return nil, fmt.Errorf("opening %s: %w", name, fs.ErrNotExist)
	}
	return io.NopCloser(strings.NewReader(text)), nil
}

func (h told) Run(_ context.Context, c conn.Cmd) (conn.Output, error) {
	out, ok := h.answers[strings.Join(c.Argv, " ")]
	if !ok {
		return conn.Output{Code: 127}, nil
	}
	return out, nil
}

func TestBoot(t *testing.T) {
	t.Parallel()
	stat := func(began string) string {
		return "1 (a ) odd (name) S 0 1 1 0 -1 4194560 21 22 23 24 25 26 27 28 20 0 1 0 " + began + " 170 180\n"
	}
	linux := func(id, began string) map[string]string {
		return map[string]string{"/proc/sys/kernel/random/boot_id": id + "\n", "/proc/1/stat": stat(began)}
	}
	said := func(argv, out string) map[string]conn.Output {
		return map[string]conn.Output{argv: {Stdout: []byte(out)}}
	}
	for name, c := range map[string]struct {
		before, after told
		follows       bool
	}{
		"the same":          {told{files: linux("a", "5")}, told{files: linux("a", "5")}, false},
		"a machine":         {told{files: linux("a", "5")}, told{files: linux("b", "5")}, true},
		"a container":       {told{files: linux("a", "500")}, told{files: linux("a", "900")}, true},
		"hidden processes":  {told{files: linux("a", "5")}, told{files: map[string]string{"/proc/sys/kernel/random/boot_id": "a\n"}}, false},
		"another way":       {told{answers: said("uptime -s", "2026-01-01 10:00:00\n")}, told{answers: said("uptime -s", "2026-01-01 10:05:00\n")}, true},
		"another way, same": {told{answers: said("who -b", "system boot 10:00\n")}, told{answers: said("who -b", "system boot 10:00\n")}, false},
		"a Mac":             {told{answers: said("sysctl -n kern.boottime", "{ sec = 1 }\n")}, told{answers: said("sysctl -n kern.boottime", "{ sec = 2 }\n")}, true},
	} {
		before, err := readBoot(t.Context(), c.before)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		after, err := readBoot(t.Context(), c.after)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := after.follows(before); got != c.follows {
			t.Errorf("%s: %+v follows %+v: %v, want %v", name, after, before, got, c.follows)
		}
	}
	if _, err := readBoot(t.Context(), told{}); err == nil || !strings.Contains(err.Error(), "does not tell when it was started") {
		t.Errorf("a host that tells nothing: %v", err)
	}
	for _, s := range []string{"", "1 (x", "1 (x) S 0", "no"} {
		if got := startTime(s); got != "" {
			t.Errorf("startTime(%q) is %q", s, got)
		}
	}
}
