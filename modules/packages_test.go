package modules_test

import (
	"strings"
	"testing"
)

const (
	dpkgShow  = `dpkg-query --show --showformat=${db:Status-Want} ${db:Status-Status} ${Package} ${Architecture} ${Version}\n -- `
	aptShow   = dpkgShow + "git"
	aptPolicy = "apt-cache policy git"
	aptKnown  = "git:\n  Installed: 1:2.39.2-1.1\n  Candidate: 1:2.39.5-0+deb12u2\n  Version table:\n" +
		"     1:2.39.5-0+deb12u2 500\n        500 debian bookworm/main\n *** 1:2.39.2-1.1 100\n        100 /var/lib/dpkg/status\n"
	aptNone = "dpkg-query: no packages found matching git\n"
	aptAge  = "find /var/lib/apt/lists/partial -maxdepth 0 -mmin "
	rpmAll  = `rpm -q --queryformat %{NAME} %{ARCH} %{EVR}\n -- `
	aptGet  = "apt-get -y -qq -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold -o DPkg::Lock::Timeout=300 "
	rpmShow = rpmAll + "git"
)

// TestPackages goes through what the package modules ask and do. What the
// managers print is as they print it.
func TestPackages(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		task   string
		check  bool
		expect []exchange
		want   string
	}{
		"apt: installed": {
			task: "!apt {package: git}", want: "matched",
			expect: []exchange{{argv: aptShow, out: "install installed git amd64 1:2.39.5-0+deb12u2\n"}},
		},
		"apt: absent": {
			task: "!apt {package: git}", want: "created: installed git 1:2.39.5-0+deb12u2",
			expect: []exchange{
				{argv: aptShow, code: 1, err: aptNone},
				{argv: aptPolicy, out: aptKnown},
				{argv: aptGet + "--allow-downgrades install git"},
				{argv: aptShow, out: "install installed git amd64 1:2.39.5-0+deb12u2\n"},
			},
		},
		"apt: absent, check": {
			task: "!apt {package: git}", check: true, want: "created",
			expect: []exchange{{argv: aptShow, code: 1}},
		},
		"apt: only its configuration is left": {
			task: "!apt {package: git, remove: true}", want: "matched",
			expect: []exchange{{argv: aptShow, out: "deinstall config-files git amd64 1:2.39.5-0+deb12u2\n"}},
		},
		"apt: remove": {
			task: "!apt {package: git, remove: true}", want: "removed: removed git 1:2.39.5-0+deb12u2",
			expect: []exchange{
				{argv: aptShow, out: "install installed git amd64 1:2.39.5-0+deb12u2\n"},
				{argv: aptGet + "remove git"},
				{argv: aptShow, code: 1},
			},
		},
		"apt: current with an epoch": {
			task: "!apt {package: git, update: true}", want: "matched",
			expect: []exchange{
				{argv: aptShow, out: "install installed git amd64 1:2.39.5-0+deb12u2\n"},
				{argv: "apt-cache policy git", out: "git:\n  Installed: 1:2.39.5-0+deb12u2\n  Candidate: 1:2.39.5-0+deb12u2\n" +
					"  Version table:\n *** 1:2.39.5-0+deb12u2 500\n        500 debian bookworm/main\n"},
			},
		},
		"apt: outdated": {
			task: "!apt {package: git, update: true}", want: "modified(Version): changed git from 1:2.39.2-1.1 to 1:2.39.5-0+deb12u2",
			expect: []exchange{
				{argv: aptShow, out: "install installed git amd64 1:2.39.2-1.1\n"},
				{argv: "apt-cache policy git", out: "git:\n  Installed: 1:2.39.2-1.1\n  Candidate: 1:2.39.5-0+deb12u2\n"},
				{argv: aptGet + "--allow-downgrades install git=1:2.39.5-0+deb12u2"},
				{argv: aptShow, out: "install installed git amd64 1:2.39.5-0+deb12u2\n"},
			},
		},
		"apt: the version without its epoch": {
			task: "!apt {package: git, version: 2.39.5-0+deb12u2}", want: "matched",
			expect: []exchange{{argv: aptShow, out: "install installed git amd64 1:2.39.5-0+deb12u2\n"}},
		},
		"apt: another version": {
			task: "!apt {package: git, version: '1:2.39.2-1.1', refresh: true}", want: "modified(Version): changed git from 1:2.39.5-0+deb12u2 to 1:2.39.2-1.1",
			expect: []exchange{
				{argv: aptShow, out: "install installed git amd64 1:2.39.5-0+deb12u2\n"},
				{argv: aptGet + "update"},
				{argv: aptPolicy, out: aptKnown},
				{argv: aptGet + "--allow-downgrades install git=1:2.39.2-1.1"},
				{argv: aptShow, out: "install installed git amd64 1:2.39.2-1.1\n"},
			},
		},
		"apt: it did not do it": {
			task: "!apt {package: git, version: 3*}", want: "failed: installing git 3*: version 1:2.39.5 is installed afterwards",
			expect: []exchange{
				{argv: aptShow, out: "install installed git amd64 1:2.39.5\n"},
				{argv: aptPolicy, out: strings.ReplaceAll(aptKnown, "1:2.39.5-0+deb12u2", "3.1")},
				{argv: aptGet + "--allow-downgrades install git=3.1"},
				{argv: aptShow, out: "install installed git amd64 1:2.39.5\n"},
			},
		},
		"apt: it fails": {
			task: "!apt {package: git}", want: "failed: running apt-get: exit status 100: E: no space",
			expect: []exchange{
				{argv: aptShow, code: 1},
				{argv: aptPolicy, out: aptKnown},
				{argv: aptGet + "--allow-downgrades install git", code: 100, err: "E: no space\n"},
			},
		},
		"apt: no apt": {
			task: "!apt {package: git}", want: "failed: running dpkg-query: the host has no such program: dpkg-query: not found",
			expect: []exchange{{argv: aptShow, code: 127, err: "dpkg-query: not found\n"}},
		},
		"apt: options for names": {
			task: "!apt {package: --purge}", want: `refused: playbook.yml:4:22: "--purge" is no name of a package`,
		},
		"apt: version and update": {
			task: "!apt {package: git, version: 1, update: true}",
			want: "refused: playbook.yml:4:7: version and update exclude each other",
		},
		"dnf: installed": {
			task: "!dnf {package: git}", want: "matched", expect: []exchange{{argv: rpmShow, out: "git x86_64 2.43.5-1.el9\n"}},
		},
		"dnf: absent": {
			task: "!dnf {package: git, version: 2.43.5}", want: "created: installed git 2.43.5-1.el9",
			expect: []exchange{
				{argv: rpmShow, code: 1, out: "package git is not installed\n"},
				{argv: "/bin/sh -c … dnf -y -q install git-2.43.5"},
				{argv: rpmShow, out: "git x86_64 2.43.5-1.el9\n"},
			},
		},
		"dnf: outdated": {
			task: "!yum {package: git, update: true}", want: "modified(Version): changed git from 2.43.0-1.el9 to 2.43.5-1.el9",
			expect: []exchange{
				{argv: rpmShow, out: "git x86_64 2.43.0-1.el9\n"},
				{argv: "/bin/sh -c … dnf -y -q check-update git", code: 100, out: "\ngit.x86_64    2.43.5-1.el9    appstream\n"},
				{argv: "/bin/sh -c … dnf -y -q install git-2.43.5-1.el9"},
				{argv: rpmShow, out: "git x86_64 2.43.5-1.el9\n"},
			},
		},
		"dnf: current": {
			task: "!dnf {package: git, update: true}", want: "matched",
			expect: []exchange{{argv: rpmShow, out: "git x86_64 2.43.5-1.el9\n"}, {argv: "/bin/sh -c … dnf -y -q check-update git"}},
		},
		"zypper: outdated": {
			task: "!zypper {package: git, update: true}", want: "modified(Version): changed git from 2.35.3-1.1 to 2.43.0-2.1",
			expect: []exchange{
				{argv: rpmShow, out: "git x86_64 2.35.3-1.1\n"},
				{argv: "zypper --non-interactive --quiet --no-refresh info -- git", out: "Information for package git:\n----\nRepository     : repo-oss\nName           : git\nVersion        : 2.43.0-2.1\nArch           : x86_64\n"},
				{argv: "zypper --non-interactive --quiet install --oldpackage -- git=2.43.0-2.1"},
				{argv: rpmShow, out: "git x86_64 2.43.0-2.1\n"},
			},
		},
		"zypper: absent": {
			task: "!zypper {package: git}", want: "created: installed git 2.43.0-2.1",
			expect: []exchange{
				{argv: rpmShow, code: 1, out: "package git is not installed\n"},
				{argv: "zypper --non-interactive --quiet install --oldpackage -- git"},
				{argv: rpmShow, out: "git x86_64 2.43.0-2.1\n"},
			},
		},
		"zypper: no zypper": {
			task: "!zypper {package: git}", want: "failed: running zypper: the host has no such program: zypper: not found",
			expect: []exchange{
				{argv: rpmShow, code: 1, out: "package git is not installed\n"},
				{argv: "zypper --non-interactive --quiet install --oldpackage -- git", code: 127, err: "zypper: not found"},
			},
		},
		"pacman: with its repository": {
			task: "!pacman {package: extra/git, update: true}", want: "modified(Version): changed extra/git from 2.44.0-1 to 2.45.0-1",
			expect: []exchange{
				{argv: "pacman -Q -- git", out: "git 2.44.0-1\n"},
				{argv: "pacman -Qu -- git", out: "git 2.44.0-1 -> 2.45.0-1\n"},
				{argv: "pacman -S --noconfirm --needed -- extra/git"},
				{argv: "pacman -Q -- git", out: "git 2.45.0-1\n"},
			},
		},
		"pacman: current": {
			task: "!pacman {package: git, update: true}", want: "matched",
			expect: []exchange{{argv: "pacman -Q -- git", out: "git 2.45.0-1\n"}, {argv: "pacman -Qu -- git", code: 1}},
		},
		"pacman: another version": {
			task: "!pacman {package: git, version: 1.0}",
			want: "failed: installing git 1.0: pacman installs the newest version only, which is 2.45.0-1",
			expect: []exchange{
				{argv: "pacman -Q -- git", code: 1, err: "error: package 'git' was not found\n"},
				{argv: "pacman -Si -- git", out: "Repository      : extra\nName            : git\nVersion         : 2.45.0-1\n"},
			},
		},
		"apk: outdated": {
			task: "!apk {package: git, update: true}", want: "modified(Version): changed git from 2.43.0-r0 to 2.45.2-r0",
			expect: []exchange{
				{argv: "apk info --installed --verbose git", out: "git-2.43.0-r0\n"},
				{argv: "apk policy git", out: "git policy:\n  2.45.2-r0:\n    edge/main\n  2.43.0-r0:\n    lib/apk/db/installed\n"},
				{argv: "apk add --no-progress --upgrade git"},
				{argv: "apk info --installed --verbose git", out: "git-2.45.2-r0\n"},
			},
		},
		"apk: absent": {
			task: "!apk {package: git}", want: "created: installed git 2.45.2-r0",
			expect: []exchange{
				{argv: "apk info --installed --verbose git", code: 1},
				{argv: "apk add --no-progress git"},
				{argv: "apk info --installed --verbose git", out: "git-2.45.2-r0\n"},
			},
		},
		"homebrew: outdated": {
			task: "!homebrew {package: git, update: true}", want: "modified(Version): changed git from 2.44 to 2.45",
			expect: []exchange{
				{argv: "brew info --json=v2 git", out: `{"formulae":[{"name":"git","versions":{"stable":"2.45"},"outdated":true,"installed":[{"version":"2.44"}]}],"casks":[]}`},
				{argv: "brew info --json=v2 git", out: `{"formulae":[{"name":"git","versions":{"stable":"2.45"},"outdated":true,"installed":[{"version":"2.44"}]}],"casks":[]}`},
				{argv: "brew upgrade git"},
				{argv: "brew info --json=v2 git", out: `{"formulae":[{"name":"git","versions":{"stable":"2.45"},"installed":[{"version":"2.45"}]}]}`},
			},
		},
		"homebrew: nonsense": {
			task: "!homebrew {package: git}", want: "failed: reading what brew says of git: invalid character 'o' looking for beginning of value",
			expect: []exchange{{argv: "brew info --json=v2 git", out: "oops"}},
		},
		"apt: a list, of which one is missing, one old and one current": {
			task: "!apt {package: [curl, git, less], update: true}",
			want: "created: installed curl 8-1, changed git from 1:2.39.2-1.1 to 1:2.39.5-0+deb12u2",
			expect: []exchange{
				{argv: dpkgShow + "curl git less", code: 1, out: "install installed git amd64 1:2.39.2-1.1\ninstall installed less amd64 590-2\n"},
				{argv: "apt-cache policy git less", out: aptKnown + "less:\n  Installed: 590-2\n  Candidate: 590-2\n"},
				{argv: "apt-cache policy curl", out: "curl:\n  Installed: (none)\n  Candidate: 8-1\n  Version table:\n     8-1 500\n"},
				{argv: aptGet + "--allow-downgrades install curl git=1:2.39.5-0+deb12u2"},
				{argv: dpkgShow + "curl git less", out: "install installed curl amd64 8-1\n" +
					"install installed git amd64 1:2.39.5-0+deb12u2\ninstall installed less amd64 590-2\n"},
			},
		},
		"apt: versions in a list": {
			task: "!apt {package: [git=2.39.2, less]}", want: "modified(Version): changed git from 1:2.39.5-0+deb12u2 to 1:2.39.2-1.1",
			expect: []exchange{
				{argv: dpkgShow + "git less", out: "install installed git amd64 1:2.39.5-0+deb12u2\ninstall installed less amd64 590-2\n"},
				{argv: aptPolicy, out: aptKnown},
				{argv: aptGet + "--allow-downgrades install git=1:2.39.2-1.1"},
				{argv: dpkgShow + "git less", out: "install installed git amd64 1:2.39.2-1.1\ninstall installed less amd64 590-2\n"},
			},
		},
		"apt: remove what is there": {
			task: "!apt {package: [git, less], remove: true, purge: true, autoremove: true}", want: "removed: removed less 590-2",
			expect: []exchange{
				{argv: dpkgShow + "git less", out: "deinstall config-files git amd64 1:2\ninstall installed less amd64 590-2\n"},
				{argv: aptGet + "--auto-remove purge git less"},
				{argv: dpkgShow + "git less", code: 1},
			},
		},
		"apt: what can be asked about afterwards": {
			task: `!apt {package: git, and: {failed_when: (and (eq before "") (eq after "2") (eq packages.git.after "2"))}}`,
			want: `failed: installed git 2|failed_when holds: (and (eq before "") (eq after "2") (eq packages.git.after "2"))`,
			expect: []exchange{
				{argv: aptShow, code: 1},
				{argv: aptPolicy, out: aptKnown},
				{argv: aptGet + "--allow-downgrades install git"},
				{argv: aptShow, out: "install installed git amd64 2\n"},
			},
		},
		"apt: held": {
			task:   "!apt {package: git, update: true}",
			want:   "failed: package git is held at version 1:2.39.2-1.1: take the hold off first (apt-mark unhold)",
			expect: []exchange{{argv: aptShow, out: "hold installed git amd64 1:2.39.2-1.1\n"}, {argv: aptPolicy, out: aptKnown}},
		},
		"apt: held, and as it is to be": {
			task: "!apt {package: git}", want: "matched",
			expect: []exchange{{argv: aptShow, out: "hold installed git amd64 1:2.39.2-1.1\n"}},
		},
		"apt: of another architecture": {
			task: "!apt {package: 'git:i386'}", want: "matched",
			expect: []exchange{{argv: aptShow + ":i386", out: "install installed git i386 1:2\n"}},
		},
		"apt: unknown": {
			task: "!apt {package: g.t}", want: "failed: the repositories have no package g.t",
			expect: []exchange{{argv: dpkgShow + "g.t", code: 1}, {argv: "apt-cache policy g.t"}},
		},
		"apt: virtual": {
			task: "!apt {package: editor}", want: "failed: editor is no package itself: name one that provides it",
			expect: []exchange{
				{argv: dpkgShow + "editor", code: 1},
				{argv: "apt-cache policy editor", out: "editor:\n  Installed: (none)\n  Candidate: (none)\n  Version table:\n"},
			},
		},
		"apt: no such version": {
			task: "!apt {package: git, version: 3*}", want: "failed: the repositories have no version 3* of git, but 1:2.39.5-0+deb12u2, 1:2.39.2-1.1",
			expect: []exchange{{argv: aptShow, code: 1}, {argv: aptPolicy, out: aptKnown}},
		},
		"apt: old lists": {
			task: "!apt {package: git, update: true, refresh: 90s}", want: "modified(Lists): changed git from 1:2.39.2-1.1 to 1:2.39.5-0+deb12u2",
			expect: []exchange{
				{argv: aptShow, out: "install installed git amd64 1:2.39.2-1.1\n"},
				{argv: aptPolicy, out: strings.ReplaceAll(aptKnown, "1:2.39.5-0+deb12u2", "1:2.39.2-1.1")},
				{argv: aptAge + "-2"},
				{argv: aptAge + "-2"},
				{argv: aptGet + "update"},
				{argv: aptShow, out: "install installed git amd64 1:2.39.2-1.1\n"},
				{argv: aptPolicy, out: aptKnown},
				{argv: aptGet + "--allow-downgrades install git=1:2.39.5-0+deb12u2"},
				{argv: aptShow, out: "install installed git amd64 1:2.39.5-0+deb12u2\n"},
			},
		},
		"apt: young lists": {
			task: "!apt {package: git, update: true, refresh: 2h}", want: "matched",
			expect: []exchange{
				{argv: aptShow, out: "install installed git amd64 1:2.39.5-0+deb12u2\n"},
				{argv: aptPolicy, out: aptKnown},
				{argv: aptAge + "-120", out: "/var/lib/apt/lists/partial\n"},
			},
		},
		"apt: young lists and something to install": {
			task: "!apt {package: git, refresh: 2h}", want: "created: installed git 1:2.39.5-0+deb12u2",
			expect: []exchange{
				{argv: aptShow, code: 1},
				{argv: aptAge + "-120", out: "/var/lib/apt/lists/partial\n"},
				{argv: aptPolicy, out: aptKnown},
				{argv: aptGet + "--allow-downgrades install git"},
				{argv: aptShow, out: "install installed git amd64 1:2.39.5-0+deb12u2\n"},
			},
		},
		"apt: items are one transaction": {
			task: "!apt {package: '{{ item }}', with: {items: [git, less]}}", want: "matched",
			expect: []exchange{
				{argv: dpkgShow + "git less", out: "install installed git amd64 1:2\ninstall installed less amd64 590-2\n"},
			},
		},
		"apt: items with versions": {
			task: "!apt {package: '{{ item.p }}', version: '{{ item.v }}', with: {items: [{p: git, v: '2'}, {p: less, v: '590*'}]}}", want: "matched",
			expect: []exchange{
				{argv: dpkgShow + "git less", out: "install installed git amd64 1:2\ninstall installed less amd64 590-2\n"},
			},
		},
		"apt: items that differ": {
			task: "!apt {package: '{{ item.p }}', remove: true, purge: true, with: {items: [{p: git}, {p: less}]}}", want: "matched",
			expect: []exchange{{argv: dpkgShow + "git less", code: 1}},
		},
		"apt: a list of nothing": {task: "!apt {package: []}", want: "refused: playbook.yml:4:22: the list names no package"},
		"apt: a name that removes": {
			task: "!apt {package: git-}", want: `refused: playbook.yml:4:22: "git-" is no name of a package`,
		},
		"apt: an expression": {task: "!apt {package: '?installed'}", want: `refused: playbook.yml:4:22: "?installed" is no name of a package`},
		"apt: a release":     {task: "!apt {package: git/sid}", want: `refused: playbook.yml:4:7: "git/sid" is no name of a package`},
		"apt: a command": {
			task: "!apt {package: [git, $(reboot)]}", want: `refused: playbook.yml:4:28: "$(reboot)" is no name of a package`,
		},
		"apt: a long name": {
			task: "!apt {package: " + strings.Repeat("a", 1<<20) + "}", want: `refused: playbook.yml:4:22: "aaaaaaaaaaaaaaaaaaaa"… is too long for the name of a package`,
		},
		"apt: twice": {task: "!apt {package: [git, git=2]}", want: "refused: playbook.yml:4:28: package git is listed twice, and not with the same version"},
		"apt: a version of many": {
			task: "!apt {package: [git, less], version: 1}", want: "refused: playbook.yml:4:7: version is for a single package: write NAME=VERSION in the list",
		},
		"apt: two versions": {task: "!apt {package: git=1, version: 1}", want: "refused: playbook.yml:4:7: package git has a version already"},
		"apt: purge alone":  {task: "!apt {package: git, purge: true}", want: "refused: playbook.yml:4:7: purge and autoremove go with remove only"},
		"apt: a bad time": {
			task: "!apt {package: git, refresh: 10}",
			want: `refused: playbook.yml:4:36: refresh must be true, false, or a time of a minute or more such as 30m or 1h, not "10"`,
		},
		"dnf: unknown": {
			task: "!dnf {package: [git, nope]}", want: "failed: the repositories have no package nope",
			expect: []exchange{
				{argv: rpmAll + "git nope", code: 1, out: "git x86_64 2-1\npackage nope is not installed\n"},
				{argv: "/bin/sh -c … dnf -y -q install nope", code: 1, err: "Error: Unable to find a match: nope\n"},
			},
		},
		"dnf: neither dnf nor yum": {
			task: "!dnf {package: nope}", want: "failed: running dnf: the host has no such program: the host has neither dnf nor yum",
			expect: []exchange{
				{argv: rpmAll + "nope", code: 1, out: "package nope is not installed\n"},
				{argv: "/bin/sh -c … dnf -y -q install nope", code: 127, err: "the host has neither dnf nor yum\n"},
			},
		},
		"dnf: a table with long lines": {
			task: "!dnf {package: [git, less], update: true}", check: true, want: "modified(Version)",
			expect: []exchange{
				{argv: rpmAll + "git less", out: "git x86_64 2-1\nless x86_64 1-1\n"},
				{argv: "/bin/sh -c … dnf -y -q check-update git less", code: 100, out: "\ngit.x86_64\n     3-1.el9_with_a_very_long_release\n                appstream\n" +
					"Obsoleting Packages\nless.x86_64   9-1  appstream\n"},
			},
		},
		"dnf: refresh": {
			task: "!dnf {package: git, refresh: true}", want: "created: installed git 2-1",
			expect: []exchange{
				{argv: rpmShow, code: 1, out: "package git is not installed\n"},
				{argv: "/bin/sh -c … dnf -y -q clean expire-cache"},
				{argv: "/bin/sh -c … dnf -y -q makecache"},
				{argv: "/bin/sh -c … dnf -y -q install git"},
				{argv: rpmShow, out: "git x86_64 2-1\n"},
			},
		},
		"dnf: a file": {task: "!dnf {package: a/b.rpm}", want: `refused: playbook.yml:4:7: "a/b.rpm" is no name of a package`},
		"zypper: a star": {
			task: "!zypper {package: git, version: 2.4*}", want: "created: installed git 2.43.0-2.1",
			expect: []exchange{
				{argv: rpmShow, code: 1, out: "package git is not installed\n"},
				{
					argv: "zypper --non-interactive --quiet --no-refresh search --details --match-exact --type package -- git",
					out: "S | Name | Type    | Version    | Arch   | Repository\n--+------+---------+------------+--------+-----\n" +
						"  | git  | package | 2.50.0-1.1 | x86_64 | oss\n  | git  | package | 2.43.0-2.1 | x86_64 | oss\n",
				},
				{argv: "zypper --non-interactive --quiet install --oldpackage -- git=2.43.0-2.1", code: 102},
				{argv: rpmShow, out: "git x86_64 2.43.0-2.1\n"},
			},
		},
		"pacman: ignored": {
			task:   "!pacman {package: git, update: true}",
			want:   "failed: package git is held at version 1-1: pacman.conf has it in IgnorePkg or IgnoreGroup",
			expect: []exchange{{argv: "pacman -Q -- git", out: "git 1-1\n"}, {argv: "pacman -Qu -- git", out: "git 1-1 -> 2-1 [ignored]\n"}},
		},
		"apk: a list": {
			task: "!apk {package: [git, git-doc], update: true}", want: "created: changed git from 2.43.0-r0 to 2.45.2-r0, installed git-doc 2.45.2-r0",
			expect: []exchange{
				{argv: "apk info --installed --verbose git git-doc", code: 1, out: "git-2.43.0-r0\n"},
				{argv: "apk policy git", out: "git policy:\n  2.45.2-r0:\n    edge/main\n  2.43.0-r0:\n    lib/apk/db/installed\n"},
				{argv: "apk add --no-progress --upgrade git-doc git"},
				{argv: "apk info --installed --verbose git git-doc", out: "git-2.45.2-r0\ngit-doc-2.45.2-r0\n"},
			},
		},
		"apk: unknown": {
			task: "!apk {package: nope}", want: "failed: the repositories have no package nope",
			expect: []exchange{
				{argv: "apk info --installed --verbose nope", code: 1},
				{argv: "apk add --no-progress nope", code: 1, err: "ERROR: unable to select packages:\n  nope (no such package):\n    required by: world[nope]\n"},
			},
		},
		"homebrew: pinned": {
			task: "!homebrew {package: git, remove: true}", want: "failed: package git is held at version 2.44: unpin it first (brew unpin)",
			expect: []exchange{{argv: "brew info --json=v2 git", out: `{"formulae":[{"name":"git","pinned":true,"installed":[{"version":"2.44"}]}],"casks":[]}`}},
		},
		"homebrew: a cask and a formula": {
			task: "!homebrew {package: [firefox, git]}", want: "created: installed firefox 120",
			expect: []exchange{
				{argv: "brew info --json=v2 firefox git", out: `{"formulae":[{"name":"git","installed":[{"version":"2.44"}]}],"casks":[{"token":"firefox","version":"120"}]}`},
				{argv: "brew install firefox"},
				{argv: "brew info --json=v2 firefox git", out: `{"formulae":[{"name":"git","installed":[{"version":"2.44"}]}],"casks":[{"token":"firefox","version":"120","installed":"120"}]}`},
			},
		},
		"package: told what to use": {
			task: "!package {package: [git, less], use: yum}", want: "matched",
			expect: []exchange{{argv: rpmAll + "git less", out: "git x86_64 2-1\nless x86_64 1-1\n"}},
		},
		"package: what it may not use": {
			task: "!package {package: git, use: emerge}",
			want: "refused: playbook.yml:4:36: use must be apt, dnf, yum, zypper, pacman, apk or homebrew",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := tell(t, tt.task, tt.check, tt.expect...); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}
