package modules

import (
	"slices"
	"testing"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
)

func TestEditHosts(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		before, want string
		name         hostName
	}{
		"empty":           {"", "127.0.1.1\tweb\n", "web"},
		"below localhost": {"::1 x\n127.0.0.1 localhost\n10.0.0.1 db\n", "::1 x\n127.0.0.1 localhost\n127.0.1.1\tweb.a.b web\n10.0.0.1 db\n", "web.a.b"},
		"no end":          {"127.0.0.1 localhost", "127.0.0.1 localhost\n127.0.1.1\tweb\n", "web"},
		"another name":    {"127.0.1.1 old older # x\n", "127.0.1.1\tweb\n", "web"},
		"the same":        {"127.0.1.1   web # mine\n", "127.0.1.1   web # mine\n", "web"},
		"a comment":       {"#127.0.1.1 web\n", "127.0.1.1\tweb\n#127.0.1.1 web\n", "web"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := editHosts(tt.before, tt.name)
			if got != tt.want {
				t.Errorf("%q becomes %q, want %q", tt.before, got, tt.want)
			}
			if again := editHosts(got, tt.name); again != got {
				t.Errorf("%q becomes %q in the second run", got, again)
			}
		})
	}
}

// TestHostnameTool makes sure that the running host is named by the program that it
// has, and that a name that it does not take is a failure.
func TestHostnameTool(t *testing.T) {
	t.Parallel()
	for _, systemd := range []bool{false, true} {
		h := &etcHost{files: map[string]string{"/proc/sys/kernel/hostname": "db\n", "/etc/hostname": "# a comment\nweb\n"}}
		want := "hostname web"
		if systemd {
			h.files["/run/systemd/system"] = ""
			want = "hostnamectl --no-ask-password --transient set-hostname web"
		}
		p, _, err := enact(t, &hostname{Hostname: "web"}, &engine.Host{Conn: h})
		if err == nil || !slices.Equal(p.Fields, []string{"Running"}) || !slices.Equal(h.ran, []string{want}) {
			t.Errorf("%v, %v, ran %q", p, err, h.ran)
		}
	}
}

func TestTimezoneLink(t *testing.T) {
	t.Parallel()
	for link, want := range map[string]string{
		"/usr/share/zoneinfo/Etc/UTC": "Etc/UTC", "../usr/share/zoneinfo/UTC": "UTC", "/usr/share/zoneinfo/../x": "", "x": "", "": "",
	} {
		if got := zoneOf(link); got != want {
			t.Errorf("%q leads to %q, want %q", link, got, want)
		}
	}
	zone := "/usr/share/zoneinfo/Europe/Berlin"
	h := &etcHost{
		files: map[string]string{zone: "TZif2", "/usr/share/zoneinfo/zone.tab": "# text"},
		links: map[string]string{"/etc/localtime": "/usr/share/zoneinfo/UTC"}, busy: map[string]bool{},
		answers: map[string]conn.Output{},
	}
	if _, _, err := enact(t, &timezone{Timezone: "zone.tab"}, &engine.Host{Conn: h}); err == nil {
		t.Error("a file that is no zone is taken for one")
	}
	_, res, err := enact(t, &timezone{Timezone: "Europe/Berlin"}, &engine.Host{Conn: h})
	if err != nil || h.links["/etc/localtime"] != zone || len(h.links) != 1 || res.Data["before"] != "UTC" {
		t.Errorf("%v, links %v, result %v", err, h.links, res)
	}
	h.busy["/etc/localtime"] = true
	h.links["/etc/localtime"] = "/usr/share/zoneinfo/UTC"
	if _, _, err := enact(t, &timezone{Timezone: "Europe/Berlin"}, &engine.Host{Conn: h}); err == nil || len(h.links) != 1 {
		t.Errorf("%v, links %v: the temporary one must be gone", err, h.links)
	}
}
