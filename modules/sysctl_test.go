package modules

import (
	"strings"
	"testing"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
)

func TestSysctlPath(t *testing.T) {
	t.Parallel()
	for name, want := range map[sysctlName]string{
		"net.ipv4.ip_forward":                 "net/ipv4/ip_forward",
		"net/ipv4/ip_forward":                 "net/ipv4/ip_forward",
		"net.ipv4.conf.eth0/100.forwarding":   "net/ipv4/conf/eth0.100/forwarding",
		"net/ipv4/conf/eth0.100/forwarding":   "net/ipv4/conf/eth0.100/forwarding",
		"fs.binfmt_misc.qemu-x86_64":          "fs/binfmt_misc/qemu-x86_64",
		"net.ipv6.conf.veth@if2.disable_ipv6": "net/ipv6/conf/veth@if2/disable_ipv6",
	} {
		if got := name.path(); got != want {
			t.Errorf("%s is at %s, want %s", name, got, want)
		}
	}
}

func TestSysctlEdit(t *testing.T) {
	t.Parallel()
	set := sysctl{Key: "a.b", Value: " 1  2 "}
	remove := sysctl{Key: "a.b", Remove: true}
	tests := map[string]struct {
		m            sysctl
		before, want string
	}{
		"empty":              {set, "", "a.b = 1  2\n"},
		"no end":             {set, "c.d=1", "c.d=1\na.b = 1  2\n"},
		"the same":           {set, "a/b=1\t2\n", "a/b=1\t2\n"},
		"another value":      {set, "# x\na.b=3\nc.d=1\n", "# x\na.b = 1  2\nc.d=1\n"},
		"the last one holds": {set, "a.b=3\nc.d=1\n-a.b = 4\n", "c.d=1\na.b = 1  2\n"},
		"no assignment":      {set, "#a.b=1 2\n;a.b=1 2\n", "#a.b=1 2\n;a.b=1 2\na.b = 1  2\n"},
		"remove":             {remove, "a.b=1\n#a.b\n a/b = 2\nc.d=1", "#a.b\nc.d=1"},
		"nothing to remove":  {remove, "c.d=1", "c.d=1"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := tt.m.edit(tt.before)
			if got != tt.want {
				t.Errorf("%q becomes %q, want %q", tt.before, got, tt.want)
			}
			if again := tt.m.edit(got); again != got {
				t.Errorf("%q becomes %q in the second run", got, again)
			}
		})
	}
}

// TestSysctlOfAStubbornKernel makes sure that a value which the kernel changes is a
// failure, not a change in every run.
func TestSysctlOfAStubbornKernel(t *testing.T) {
	t.Parallel()
	h := &etcHost{
		files:   map[string]string{"/proc/sys/a/b": "7\n"},
		answers: map[string]conn.Output{},
	}
	m := sysctl{Key: "a.b", Value: "9"}
	p, _, err := enact(t, &m, &engine.Host{Conn: h})
	if p.Need != engine.Modify || err == nil || !strings.Contains(err.Error(), `made "7" of it`) {
		t.Errorf("%v, %v", p, err)
	}
	if len(h.ran) != 1 || h.ran[0] != "sysctl -q -w a.b=9" || h.files[sysctlFile] != "" {
		t.Errorf("ran %q, the file holds %q", h.ran, h.files[sysctlFile])
	}
}
