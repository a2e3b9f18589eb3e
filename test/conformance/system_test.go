package conformance

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func systemLines() []line {
	return []line{
		{62, "C", "packages", "A package that is installed matches, one that is not is installed; with `remove` the other way around; another version than the one asked for is modified.", packages},
		{63, "N", "packages_with_epochs", "apt with `update: true` matches a package that is current, epoch or not.", packagesWithEpochs},
		{64, "C", "users_and_groups", "user and group create, modify the fields that are given, and remove.", usersAndGroups},
		{65, "N", "accounts_converge", "A user with a gid and all else by default is made; a gid as a number and a list of no members converge.", accountsConverge},
		{66, "C", "services", "sd_service starts a unit on `restart` where it is stopped; `started: false` with `restart: true` is refused.", services},
	}
}

// aptMachine is a machine with apt, and a repository with demo in the versions
// 1:1.0-1 and 1:2.0-1.
func aptMachine(t *testing.T, m *machine) other {
	t.Helper()
	m.root(t)
	needs(t, "apt-get", "dpkg-deb")
	o := otherMachine(t, m, strings.Fields("apt-get apt-cache dpkg dpkg-deb dpkg-query dpkg-split diff tar gzip xz sed "+
		"ldconfig start-stop-daemon bash")...)
	for dir := range strings.FieldsSeq("repo etc/apt/apt.conf.d etc/apt/preferences.d etc/apt/sources.list.d etc/apt/trusted.gpg.d " +
		"etc/dpkg/dpkg.cfg.d usr/lib/apt/methods usr/share/dpkg var/lib/apt/lists/partial var/cache/apt/archives/partial " +
		"var/lib/dpkg/info var/lib/dpkg/updates var/lib/dpkg/triggers var/log/apt") {
		must(t, os.MkdirAll(filepath.Join(o.root, dir), 0o755))
	}
	for _, method := range []string{"file", "copy", "store"} {
		path := filepath.Join("/usr/lib/apt/methods", method)
		o.bring(t, path, path)
		o.libraries(t, path)
	}
	for _, table := range []string{"cputable", "ostable", "tupletable", "abitable"} {
		o.bring(t, "/usr/share/dpkg/"+table, "/usr/share/dpkg/"+table)
	}
	o.put(t, "/var/lib/dpkg/status", "")
	o.put(t, "/etc/apt/sources.list", "deb [trusted=yes] file:/repo ./\n")
	o.put(t, "/etc/apt/apt.conf", `APT::Sandbox::User "root"; Dpkg::Use-Pty "0"; Acquire::Languages "none"; APT::Architecture "`+
		architecture(t)+"\";\n")
	var index strings.Builder
	for _, version := range []string{"1:1.0-1", "1:2.0-1"} {
		index.WriteString(buildPackage(t, filepath.Join(o.root, "repo"), version) + "\n")
	}
	o.put(t, "/repo/Packages", index.String())
	return o
}

func architecture(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "dpkg", "--print-architecture").Output()
	must(t, err)
	return strings.TrimSpace(string(out))
}

// buildPackage makes a version of demo, and returns its entry for the index.
func buildPackage(t *testing.T, repo, version string) string {
	t.Helper()
	tree := t.TempDir()
	must(t, os.Chmod(tree, 0o755))
	must(t, os.MkdirAll(filepath.Join(tree, "DEBIAN"), 0o755))
	must(t, os.MkdirAll(filepath.Join(tree, "usr/share/jet-demo"), 0o755))
	control := "Package: jet-demo\nVersion: " + version + "\nArchitecture: all\nMaintainer: nobody <nobody@example.com>\nDescription: demo\n"
	must(t, os.WriteFile(filepath.Join(tree, "DEBIAN/control"), []byte(control), 0o644))
	must(t, os.WriteFile(filepath.Join(tree, "usr/share/jet-demo/version"), []byte(version), 0o644))
	file := "jet-demo_" + strings.ReplaceAll(version, ":", "_") + ".deb"
	path := filepath.Join(repo, file)
	if out, err := exec.CommandContext(t.Context(), "dpkg-deb", "--root-owner-group", "-Zgzip", "--build", tree, path).CombinedOutput(); err != nil {
		t.Fatalf("building the package: %v: %s", err, out)
	}
	data, err := os.ReadFile(path)
	must(t, err)
	return control + fmt.Sprintf("Filename: ./%s\nSize: %d\nSHA256: %s\n", file, len(data), sha256Hex(data))
}

func packages(t *testing.T, m *machine) {
	o := aptMachine(t, m)
	s := newSite(t, m, o.inventory+`
-- p.yml --
- name: x
  groups: [others]
  tasks:
  - !apt {name: absent, package: jet-demo, remove: true}
  - !apt {name: install, package: jet-demo, version: "1:1.0-1", refresh: true}
  - !apt {name: again, package: jet-demo}
  - !apt {name: version, package: jet-demo, version: "1:2.0-1"}
  - !apt {name: version-again, package: jet-demo, version: "1:2.0-1"}
  - !apt {name: remove, package: jet-demo, remove: true}
  - !apt {name: missing, package: jet-demo-of-nobody, and: {ignore_errors: true}}
-- check.yml --
- name: x
  groups: [others]
  tasks:
  - !apt {name: install, package: jet-demo, version: "1:1.0-1"}
`)
	o.run(t, s, "check.yml", "--check").is(t, 0, "install other created")
	r := o.run(t, s, "p.yml")
	r.is(t, 0, "absent other matched", "install other created", "again other matched", "version other modified",
		"version-again other matched", "remove other removed", "missing other ignored")
}

func packagesWithEpochs(t *testing.T, m *machine) {
	o := aptMachine(t, m)
	s := newSite(t, m, o.inventory+`
-- p.yml --
- name: x
  groups: [others]
  tasks:
  - !apt {name: install, package: jet-demo, version: "1:1.0-1", refresh: true}
  - !apt {name: update, package: jet-demo, update: true}
  - !apt {name: current, package: jet-demo, update: true}
`)
	o.run(t, s, "p.yml").is(t, 0, "install other created", "update other modified", "current other matched")
	if got := o.file(t, "/usr/share/jet-demo/version"); got != "1:2.0-1" {
		t.Errorf("version %s is installed", got)
	}
}

// accountMachine is a machine on which accounts can be changed.
func accountMachine(t *testing.T, m *machine) other {
	t.Helper()
	needsRoot := strings.Fields("useradd usermod userdel groupadd groupmod groupdel gpasswd")
	o := otherMachine(t, m, needsRoot...)
	o.put(t, "/etc/shadow", "root:*:1::::::\nsomebody:*:1::::::\n")
	o.put(t, "/etc/gshadow", "root:*::\nsomegroup:!::\n")
	o.put(t, "/etc/login.defs", "UID_MIN 1000\nGID_MIN 1000\nSYS_UID_MIN 100\nUMASK 022\n")
	return o
}

func usersAndGroups(t *testing.T, m *machine) {
	o := accountMachine(t, m)
	s := newSite(t, m, o.inventory+`
-- p.yml --
- name: x
  groups: [others]
  tasks:
  - !group {name: group, group: crew, gid: 2000}
  - !group {name: group-again, group: crew, gid: 2000}
  - !group {name: members, group: crew, users: [somebody]}
  - !group {name: gid, group: crew, gid: 2001}
  - !user {name: user, user: jane, uid: 3000, gecos: Jane, shell: /bin/sh, groups: [crew]}
  - !user {name: user-again, user: jane, uid: 3000, gecos: Jane, shell: /bin/sh, groups: [crew]}
  - !user {name: gecos, user: jane, gecos: Jane Doe}
  - !user {name: groups, user: jane, groups: []}
  - !user {name: remove-user, user: jane, remove: true, cleanup: true}
  - !user {name: gone, user: jane, remove: true}
  - !group {name: remove-group, group: crew, remove: true}
  - !group {name: gone, group: crew, remove: true}
-- keep.yml --
- name: x
  groups: [others]
  tasks:
  - !user {name: user, user: keep, uid: 3001, gecos: Keeper, shell: /bin/sh}
  - !user {name: one-field, user: keep, shell: /bin/false}
`)
	r := o.run(t, s, "p.yml")
	r.is(t, 0, "group other created", "group-again other matched", "members other modified", "gid other modified",
		"user other created", "user-again other matched", "gecos other modified", "groups other modified",
		"remove-user other removed", "gone other matched", "remove-group other removed", "gone other matched")
	if f := strings.Join(r.task(t, "gecos").Fields, " "); f != "Gecos" {
		t.Errorf("gecos modified %s", f)
	}
	o.run(t, s, "keep.yml").is(t, 0, "user other created", "one-field other modified")
	if passwd := o.file(t, "/etc/passwd"); !strings.Contains(passwd, ":Keeper:/home/keep:/bin/false\n") {
		t.Errorf("the accounts are\n%s", passwd)
	}
}

func accountsConverge(t *testing.T, m *machine) {
	o := accountMachine(t, m)
	s := newSite(t, m, o.inventory+`
-- p.yml --
- name: x
  groups: [others]
  tasks:
  - !user {name: with-gid, user: jane, gid: somegroup}
  - !user {name: with-number, user: jane, gid: 4322}
  - !group {name: no-members, group: somegroup, users: []}
  - !group {name: append, group: somegroup, users: [jane], append: true}
  - !group {name: append-again, group: somegroup, users: [jane], append: true}
  - !group {name: empty, group: somegroup, users: []}
  - !group {name: empty-again, group: somegroup, users: []}
`)
	o.run(t, s, "p.yml").is(t, 0, "with-gid other created", "with-number other matched", "no-members other matched",
		"append other modified", "append-again other matched", "empty other modified", "empty-again other matched")
}

// systemctl stands in for systemd, which cannot run in a directory: it keeps the
// state of units in files. The suite over whole machines has the real one.
const systemctl = `#!/bin/sh
verb=$1
for unit; do :; done
case $verb in
show)
	echo LoadState=loaded NeedDaemonReload=no | tr ' ' '\n'
	if test -e /state-running; then echo ActiveState=active; else echo ActiveState=inactive; fi
	if test -e /state-enabled; then echo UnitFileState=enabled; else echo UnitFileState=disabled; fi
	;;
start | restart) touch /state-running; echo "$verb" >> /state-log ;;
stop) rm -f /state-running; echo "$verb" >> /state-log ;;
enable) touch /state-enabled ;;
disable) rm -f /state-enabled ;;
esac
`

func services(t *testing.T, m *machine) {
	o := otherMachine(t, m)
	o.put(t, "/usr/bin/systemctl", systemctl)
	must(t, os.Chmod(filepath.Join(o.root, "usr/bin/systemctl"), 0o755))
	s := newSite(t, m, o.inventory+`
-- p.yml --
- name: x
  groups: [others]
  tasks:
  - !sd_service {name: restart-stopped, service: demo, restart: true}
  - !sd_service {name: started, service: demo, started: true}
  - !sd_service {name: restart-running, service: demo, restart: true, started: true}
  - !sd_service {name: enable, service: demo, enabled: true}
  - !sd_service {name: enabled, service: demo, enabled: true, started: true}
  - !sd_service {name: stop, service: demo, started: false, enabled: false}
  - !sd_service {name: stopped, service: demo, started: false, enabled: false}
-- bad.yml --
- name: x
  groups: [others]
  tasks:
  - !sd_service {service: demo, started: false, restart: true}
`)
	r := o.run(t, s, "p.yml")
	r.is(t, 0, "restart-stopped other modified", "started other matched", "restart-running other modified",
		"enable other modified", "enabled other matched", "stop other modified", "stopped other matched")
	for task, want := range map[string]string{"restart-stopped": "Start", "restart-running": "Restart", "enable": "Enable", "stop": "Stop Disable"} {
		if got := strings.Join(r.task(t, task).Fields, " "); got != want {
			t.Errorf("%s modified %s, want %s", task, got, want)
		}
	}
	if got := o.file(t, "/state-log"); got != "start\nrestart\nstop\n" {
		t.Errorf("the unit saw %q", got)
	}
	s.offline(t, "bad.yml").refused(t, 1, "bad.yml:4:5: ", "exclude each other")
}
