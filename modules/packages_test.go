package modules_test

import (
	"strings"
	"testing"
)

const (
	aptShow = `dpkg-query --show --showformat=${db:Status-Status} ${Version}\n git`
	aptGet  = "apt-get -y -qq -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold -o DPkg::Lock::Timeout=300 "
	rpmShow = `rpm -q --queryformat %{EVR}\n git`
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
			expect: []exchange{{argv: aptShow, out: "installed 1:2.39.5-0+deb12u2\n"}},
		},
		"apt: absent": {
			task: "!apt {package: git}", want: "created",
			expect: []exchange{
				{argv: aptShow, code: 1, err: "dpkg-query: no packages found matching git\n"},
				{argv: aptGet + "--allow-downgrades install git"},
				{argv: aptShow, out: "installed 1:2.39.5-0+deb12u2\n"},
			},
		},
		"apt: absent, check": {
			task: "!apt {package: git}", check: true, want: "created",
			expect: []exchange{{argv: aptShow, code: 1}},
		},
		"apt: only its configuration is left": {
			task: "!apt {package: git, remove: true}", want: "matched",
			expect: []exchange{{argv: aptShow, out: "config-files 1:2.39.5-0+deb12u2\n"}},
		},
		"apt: remove": {
			task: "!apt {package: git, remove: true}", want: "removed",
			expect: []exchange{
				{argv: aptShow, out: "installed 1:2.39.5-0+deb12u2\n"},
				{argv: aptGet + "remove git"},
				{argv: aptShow, code: 1},
			},
		},
		"apt: current with an epoch": {
			task: "!apt {package: git, update: true}", want: "matched",
			expect: []exchange{
				{argv: aptShow, out: "installed 1:2.39.5-0+deb12u2\n"},
				{argv: "apt-cache policy git", out: "git:\n  Installed: 1:2.39.5-0+deb12u2\n  Candidate: 1:2.39.5-0+deb12u2\n" +
					"  Version table:\n *** 1:2.39.5-0+deb12u2 500\n        500 debian bookworm/main\n"},
			},
		},
		"apt: outdated": {
			task: "!apt {package: git, update: true}", want: "modified(Version)",
			expect: []exchange{
				{argv: aptShow, out: "installed 1:2.39.2-1.1\n"},
				{argv: "apt-cache policy git", out: "git:\n  Installed: 1:2.39.2-1.1\n  Candidate: 1:2.39.5-0+deb12u2\n"},
				{argv: aptGet + "install --only-upgrade git"},
				{argv: aptShow, out: "installed 1:2.39.5-0+deb12u2\n"},
			},
		},
		"apt: the version without its epoch": {
			task: "!apt {package: git, version: 2.39.5-0+deb12u2}", want: "matched",
			expect: []exchange{{argv: aptShow, out: "installed 1:2.39.5-0+deb12u2\n"}},
		},
		"apt: another version": {
			task: "!apt {package: git, version: '1:2.39.2-1.1', refresh: true}", want: "modified(Version)",
			expect: []exchange{
				{argv: aptShow, out: "installed 1:2.39.5-0+deb12u2\n"},
				{argv: aptGet + "update"},
				{argv: aptGet + "--allow-downgrades install git=1:2.39.2-1.1"},
				{argv: aptShow, out: "installed 1:2.39.2-1.1\n"},
			},
		},
		"apt: it did not do it": {
			task: "!apt {package: git, version: 3*}", want: "failed: installing git 3*: version 1:2.39.5 is installed afterwards",
			expect: []exchange{
				{argv: aptShow, out: "installed 1:2.39.5\n"},
				{argv: aptGet + "--allow-downgrades install git=3*"},
				{argv: aptShow, out: "installed 1:2.39.5\n"},
			},
		},
		"apt: it fails": {
			task: "!apt {package: git}", want: "failed: running apt-get: exit status 100: E: Unable to locate package git",
			expect: []exchange{
				{argv: aptShow, code: 1},
				{argv: aptGet + "--allow-downgrades install git", code: 100, err: "E: Unable to locate package git\n"},
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
			task: "!dnf {package: git}", want: "matched", expect: []exchange{{argv: rpmShow, out: "2.43.5-1.el9\n"}},
		},
		"dnf: absent": {
			task: "!dnf {package: git, version: 2.43.5}", want: "created",
			expect: []exchange{
				{argv: rpmShow, code: 1, out: "package git is not installed\n"},
				{argv: "/bin/sh -c … dnf -y -q install git-2.43.5"},
				{argv: rpmShow, out: "2.43.5-1.el9\n"},
			},
		},
		"dnf: outdated": {
			task: "!yum {package: git, update: true}", want: "modified(Version)",
			expect: []exchange{
				{argv: rpmShow, out: "2.43.0-1.el9\n"},
				{argv: "/bin/sh -c … dnf -y -q check-update git", code: 100, out: "\ngit.x86_64    2.43.5-1.el9    appstream\n"},
				{argv: "/bin/sh -c … dnf -y -q update git"},
				{argv: rpmShow, out: "2.43.5-1.el9\n"},
			},
		},
		"dnf: current": {
			task: "!dnf {package: git, update: true}", want: "matched",
			expect: []exchange{{argv: rpmShow, out: "2.43.5-1.el9\n"}, {argv: "/bin/sh -c … dnf -y -q check-update git"}},
		},
		"zypper: outdated": {
			task: "!zypper {package: git, update: true}", want: "modified(Version)",
			expect: []exchange{
				{argv: rpmShow, out: "2.35.3-1.1\n"},
				{argv: "zypper --non-interactive --quiet --no-refresh info -- git", out: "Information for package git:\n----\nRepository     : repo-oss\nName           : git\nVersion        : 2.43.0-2.1\nArch           : x86_64\n"},
				{argv: "zypper --non-interactive --quiet update -- git"},
				{argv: rpmShow, out: "2.43.0-2.1\n"},
			},
		},
		"zypper: absent": {
			task: "!zypper {package: git}", want: "created",
			expect: []exchange{
				{argv: rpmShow, code: 1, out: "package git is not installed\n"},
				{argv: "zypper --non-interactive --quiet install --oldpackage -- git"},
				{argv: rpmShow, out: "2.43.0-2.1\n"},
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
			task: "!pacman {package: extra/git, update: true}", want: "modified(Version)",
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
			task:   "!pacman {package: git, version: 1.0}",
			want:   "failed: installing git 1.0: pacman installs the newest version only",
			expect: []exchange{{argv: "pacman -Q -- git", code: 1, err: "error: package 'git' was not found\n"}},
		},
		"apk: outdated": {
			task: "!apk {package: git, update: true}", want: "modified(Version)",
			expect: []exchange{
				{argv: "apk info --installed --verbose git", out: "git-2.43.0-r0\n"},
				{argv: "apk policy git", out: "git policy:\n  2.45.2-r0:\n    edge/main\n  2.43.0-r0:\n    lib/apk/db/installed\n"},
				{argv: "apk add --no-progress --upgrade git"},
				{argv: "apk info --installed --verbose git", out: "git-2.45.2-r0\n"},
			},
		},
		"apk: absent": {
			task: "!apk {package: git}", want: "created",
			expect: []exchange{
				{argv: "apk info --installed --verbose git", code: 1},
				{argv: "apk add --no-progress git"},
				{argv: "apk info --installed --verbose git", out: "git-2.45.2-r0\n"},
			},
		},
		"homebrew: outdated": {
			task: "!homebrew {package: git, update: true}", want: "modified(Version)",
			expect: []exchange{
				{argv: "brew info --json=v2 git", out: `{"formulae":[{"versions":{"stable":"2.45"},"outdated":true,"installed":[{"version":"2.44"}]}],"casks":[]}`},
				{argv: "brew info --json=v2 git", out: `{"formulae":[{"versions":{"stable":"2.45"},"outdated":true,"installed":[{"version":"2.44"}]}],"casks":[]}`},
				{argv: "brew upgrade git"},
				{argv: "brew info --json=v2 git", out: `{"formulae":[{"versions":{"stable":"2.45"},"installed":[{"version":"2.45"}]}]}`},
			},
		},
		"homebrew: nonsense": {
			task: "!homebrew {package: git}", want: "failed: reading what brew says of git: invalid character 'o' looking for beginning of value",
			expect: []exchange{{argv: "brew info --json=v2 git", out: "oops"}},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := tell(t, tt.task, tt.check, tt.expect...); got != tt.want && !strings.HasPrefix(got, tt.want+"|") {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}
