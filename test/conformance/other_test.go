package conformance

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/jet-bus/jet-bus/engine/conn/conntest"
)

// other is a machine with files, accounts and a system of its own: a second
// server whose sessions are confined to a directory.
type other struct {
	conntest.SSHD
	root string
	// inventory makes it the host other, beside those of a site without an
	// inventory of its own.
	inventory string
}

// otherMachine starts one, with these programs besides the most common.
func otherMachine(t *testing.T, m *machine, programs ...string) other {
	t.Helper()
	m.root(t)
	m.server(t)
	// The way to it must belong to root alone, which /tmp does not.
	base := "/var/lib/jet-conformance"
	must(t, os.MkdirAll(base, 0o755))
	root, err := os.MkdirTemp(base, "") //nolint:usetesting // as said
	must(t, err)
	must(t, os.Chmod(root, 0o755))
	o := other{root: root}
	for _, dir := range []string{"dev", "etc", "home", "root", "usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "var/mail"} {
		must(t, os.MkdirAll(filepath.Join(root, dir), 0o755))
	}
	must(t, os.MkdirAll(filepath.Join(root, "tmp"), 0o777))
	must(t, os.Chmod(filepath.Join(root, "tmp"), 0o777|os.ModeSticky))
	for _, dir := range []string{"bin", "sbin", "lib", "lib64"} {
		must(t, os.Symlink("usr/"+dir, filepath.Join(root, dir)))
	}
	command(t, "mknod", "-m", "666", filepath.Join(root, "dev/null"), "c", "1", "3")
	proc := filepath.Join(root, "proc")
	must(t, os.Mkdir(proc, 0o755))
	t.Cleanup(func() {
		// What is mounted must be gone before the directory is.
		if mounted, err := os.ReadDir(proc); err != nil || len(mounted) > 0 {
			t.Errorf("%s is left behind: %v", root, err)
			return
		}
		_ = os.RemoveAll(root)
		_ = os.Remove(base) // if it was the last one
	})
	command(t, "mount", "-t", "proc", "proc", proc)
	t.Cleanup(func() {
		// The context of the test is over.
		if out, err := exec.CommandContext(context.WithoutCancel(t.Context()), "umount", "-l", proc).CombinedOutput(); err != nil {
			t.Errorf("unmounting %s: %v: %s", proc, err, out)
		}
	})
	o.put(t, "/etc/passwd", "root:x:0:0::/root:/bin/sh\nsomebody:x:4321:4321::/:/bin/sh\n")
	o.put(t, "/etc/group", "root:x:0:\nsomegroup:x:4322:\n")
	o.put(t, "/etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\n")
	o.install(t, append(strings.Fields("sh bash cat chmod chown cp env getent head id ls mkdir mktemp mv rm setsid "+
		"sha256sum sleep stat tail test touch tr true uname whoami"), programs...)...)
	o.SSHD = conntest.StartSSHD(t, "ChrootDirectory "+root)
	o.inventory = fmt.Sprintf("%s-- inventory/groups/others --\nhosts: [other]\n-- inventory/host_vars/other.yml --\n"+
		"jet_ssh_port: %d\njet_ssh_private_key_file: %s\n", hostsArchive, o.Port, o.KeyFile)
	return o
}

// command runs a tool of this machine.
func command(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v: %s", name, args, err, out)
	}
}

var library = regexp.MustCompile(`/\S+\.so\S*`)

// install copies programs of this machine with the libraries they link.
func (o other) install(t *testing.T, programs ...string) {
	t.Helper()
	for _, name := range programs {
		path, err := lookPath(name)
		if err != nil {
			conntest.Missing(t, name+" is needed")
		}
		o.bring(t, path, filepath.Join("/usr/bin", name))
		o.libraries(t, path)
	}
}

// libraries copies what a program of this machine links.
func (o other) libraries(t *testing.T, path string) {
	t.Helper()
	out, _ := exec.CommandContext(t.Context(), "ldd", path).Output()
	for _, lib := range library.FindAllString(string(out), -1) {
		o.bring(t, lib, lib)
	}
}

// bring copies a file of this machine.
func (o other) bring(t *testing.T, from, to string) {
	t.Helper()
	to = filepath.Join(o.root, to)
	if _, err := os.Stat(to); err == nil {
		return
	}
	data, err := os.ReadFile(from)
	must(t, err)
	must(t, os.MkdirAll(filepath.Dir(to), 0o755))
	must(t, os.WriteFile(to, data, 0o755))
}

func (o other) put(t *testing.T, name, content string) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(o.root, name), []byte(content), 0o644))
}

func (o other) file(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(o.root, name))
	must(t, err)
	return string(data)
}

// names lists a directory.
func (o other) names(t *testing.T, dir string) string {
	t.Helper()
	list, err := os.ReadDir(filepath.Join(o.root, dir))
	must(t, err)
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

// run runs playbooks with the keys of both servers known.
func (o other) run(t *testing.T, s *site, playbooks string, args ...string) result {
	t.Helper()
	both := *s.server(t)
	var keys []byte
	for _, file := range []string{both.KnownHosts, o.KnownHosts} {
		data, err := os.ReadFile(file)
		must(t, err)
		keys = append(keys, data...)
	}
	both.KnownHosts = filepath.Join(s.dir, "known_hosts")
	must(t, os.WriteFile(both.KnownHosts, keys, 0o600))
	return s.over(t, both, playbooks, append([]string{"--json"}, args...)...)
}
