package modules

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
)

func TestEscapeOctal(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "s")
		e := escapeOctal(s)
		if got := unescapeOctal(e); got != s {
			t.Fatalf("%q becomes %q and then %q", s, e, got)
		}
		if strings.ContainsAny(e, " \t\n\r") || strings.HasPrefix(e, "#") {
			t.Fatalf("%q becomes %q", s, e)
		}
	})
}

// TestFstabConverges edits random tables: other lines stay, and the entry is there
// once.
func TestFstabConverges(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		pool := []string{"# a", "", "tmpfs /a tmpfs", "x /a ext4 ro 1 2", "y  /b\\040c xfs a,b", "z none swap sw 0 0", "bad"}
		before := strings.Join(rapid.SliceOf(rapid.SampledFrom(pool)).Draw(t, "lines"), "\n")
		e := rapid.SampledFrom([]fstabEntry{
			{source: "n", path: "/a", fstype: "ext4", options: []string{"ro"}},
			{source: "n", path: "/b c", fstype: "xfs", options: []string{"defaults"}, dump: 1, pass: 2},
			{source: "z", path: "none", fstype: "swap", options: []string{"pri=1"}},
		}).Draw(t, "entry")
		remove := rapid.Bool().Draw(t, "remove")
		once := editFstab(before, e, remove)
		if twice := editFstab(once, e, remove); twice != once {
			t.Fatalf("%q becomes %q and then %q", before, once, twice)
		}
		have := findFstab(once, e)
		if remove && len(have) != 0 || !remove && (len(have) != 1 || !have[0].equal(e)) {
			t.Fatalf("%q becomes %q", before, once)
		}
		for _, keep := range []string{"# a", "bad"} {
			if strings.Count(before, keep) != strings.Count(once, keep) {
				t.Fatalf("%q becomes %q", before, once)
			}
		}
	})
}

func TestMountLacks(t *testing.T) {
	t.Parallel()
	m := mounted{options: []string{"rw", "nosuid", "relatime"}}
	for options, want := range map[string]bool{
		"defaults": false, "rw": false, "ro": true, "nosuid": false, "suid": true, "noexec": true, "ro,rw": false, "rw,ro": true,
		"size=1m": false, "exec,user": false, "user,exec": false, "suid,users": false, "users,suid": true, "atime": false, "noatime": true,
	} {
		if got := m.lacks(strings.Split(options, ",")); got != want {
			t.Errorf("lacks(%s) is %v", options, got)
		}
	}
}

func TestMount(t *testing.T) {
	t.Parallel()
	off := false
	tmpfs := mount{Path: "/a", Source: "tmpfs", Fstype: "tmpfs"}
	with := func(m mount, change func(*mount)) mount {
		change(&m)
		return m
	}
	const (
		entry = "tmpfs\t/a\ttmpfs\tdefaults\t0\t0\n"
		table = "1 0 0:1 / /a rw,relatime shared:1 - %s src rw\n"
	)
	swap := mount{Source: "UUID=1-2", Fstype: "swap", Options: []mountOption{"pri=5", "nofail"}}
	tests := map[string]struct {
		m           mount
		fstab       string
		live        string // type of what is mounted at /a
		answers     map[string]conn.Output
		systemd     bool
		want        string
		ran         []string
		fstabBecame string
	}{
		"nothing there, systemd": {
			m: tmpfs, systemd: true, want: "create []", ran: []string{"systemctl daemon-reload", "mount -- /a"}, fstabBecame: entry,
		},
		"as asked": {m: tmpfs, fstab: entry, live: "tmpfs", want: "matched []", fstabBecame: entry},
		"another type is mounted": {
			m: tmpfs, fstab: entry, live: "ext4", want: "modify [Unmount Mount]",
			ran: []string{"umount -- /a", "mount -- /a"}, fstabBecame: entry,
		},
		"a type that the kernel calls otherwise": {
			m: with(tmpfs, func(m *mount) { m.Fstype = "sshfs" }), fstab: "tmpfs /a sshfs defaults 0 0\n", live: "fuse.sshfs",
			want: "matched []", fstabBecame: "tmpfs /a sshfs defaults 0 0\n",
		},
		"options of programs alone do not remount": {
			m: with(tmpfs, func(m *mount) { m.Options = []mountOption{"nofail", "x-systemd.automount"} }), fstab: entry, live: "tmpfs",
			want: "modify [Entry]", fstabBecame: "tmpfs\t/a\ttmpfs\tnofail,x-systemd.automount\t0\t0\n",
		},
		"a failure puts the table back": {
			m: tmpfs, fstab: "# mine\n", want: "create [] error", ran: []string{"mount -- /a"}, fstabBecame: "# mine\n",
			answers: map[string]conn.Output{"mount -- /a": {Code: 32, Stderr: []byte("wrong fs type")}},
		},
		"two entries":  {m: tmpfs, fstab: entry + entry, want: "matched [] error", fstabBecame: entry + entry},
		"both removed": {m: mount{Path: "/a", Remove: true}, fstab: entry + entry, want: "remove []"},
		"swap": {
			m: swap, want: "create []", ran: []string{"swapon -o pri=5 -- UUID=1-2"},
			fstabBecame: "UUID=1-2\tnone\tswap\tpri=5,nofail\t0\t0\n",
		},
		"swap is on": {
			m:       with(swap, func(m *mount) { m.Options, m.Mounted = nil, &off }),
			answers: map[string]conn.Output{"readlink -f -- /dev/disk/by-uuid/1-2": {Stdout: []byte("/dev/sd b\n")}},
			want:    "modify [Unmount Entry]", ran: []string{"swapoff -- UUID=1-2"},
			fstabBecame: "UUID=1-2\tnone\tswap\tdefaults\t0\t0\n",
		},
	}
	needs := map[engine.Need]string{engine.Matched: "matched", engine.Create: "create", engine.Modify: "modify", engine.Remove: "remove"}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &etcHost{files: map[string]string{
				"/etc/fstab": tt.fstab, "/a": "", "/proc/self/mountinfo": "",
				"/proc/swaps": "Filename Type\n/dev/sd\\040b partition\n",
			}, answers: tt.answers}
			if tt.live != "" {
				h.files["/proc/self/mountinfo"] = fmt.Sprintf(table, tt.live)
			}
			if tt.systemd {
				h.files["/run/systemd/system"] = ""
			}
			p, _, err := enact(t, &tt.m, &engine.Host{Conn: h})
			got := fmt.Sprint(needs[p.Need], " ", p.Fields)
			if err != nil {
				got += " error"
			}
			if got != tt.want {
				t.Errorf("%s (%v), want %s", got, err, tt.want)
			}
			if diff := cmp.Diff(tt.ran, h.ran); diff != "" {
				t.Errorf("commands, -want +got:\n%s", diff)
			}
			if h.files["/etc/fstab"] != tt.fstabBecame {
				t.Errorf("fstab is %q, want %q", h.files["/etc/fstab"], tt.fstabBecame)
			}
		})
	}
}
