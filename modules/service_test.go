package modules_test

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/modules"
)

const (
	unitProperties = "--no-pager --property=LoadState,ActiveState,SubState,UnitFileState,NeedDaemonReload,CanReload,SourcePath,Type,Result,NRestarts -- app"
	askUnit        = "systemctl show " + unitProperties
)

func unit(load, active, file, reload string) string {
	return "LoadState=" + load + "\nActiveState=" + active + "\nUnitFileState=" + file + "\nNeedDaemonReload=" + reload + "\n"
}

// TestServices goes through what the modules for services ask and do.
func TestServices(t *testing.T) {
	t.Parallel()
	running := unit("loaded", "active", "enabled", "no")
	stopped := unit("loaded", "inactive", "disabled", "no")
	script := unit("loaded", "inactive", "generated", "no") + "SourcePath=/etc/init.d/app\n"
	tests := map[string]struct {
		task   string
		expect []exchange
		want   string
	}{
		"as described": {
			task: "!sd_service {service: app, started: true, enabled: true}", want: "matched",
			expect: []exchange{{argv: askUnit, out: running}},
		},
		"start and enable": {
			task: "!sd_service {service: app, started: true, enabled: true}", want: "modified(Start,Enable)",
			expect: []exchange{{argv: askUnit, out: stopped}, {argv: "systemctl start -- app"}, {argv: "systemctl enable -- app"}, {argv: askUnit, out: running}},
		},
		"stop and disable": {
			task: "!sd_service {service: app, started: false, enabled: false}", want: "modified(Stop,Disable)",
			expect: []exchange{{argv: askUnit, out: running}, {argv: "systemctl stop -- app"}, {argv: "systemctl disable -- app"}, {argv: askUnit, out: stopped}},
		},
		"restart": {
			task: "!sd_service {service: app, restart: true}", want: "modified(Restart)",
			expect: []exchange{{argv: askUnit, out: running}, {argv: "systemctl restart -- app"}, {argv: askUnit, out: running}},
		},
		"restart of a stopped one, its file changed": {
			task: "!sd_service {service: app, restart: true}", want: "modified(Start)",
			expect: []exchange{
				{argv: askUnit, out: unit("loaded", "inactive", "static", "yes")},
				{argv: "systemctl daemon-reload"},
				{argv: "systemctl start -- app"},
				{argv: askUnit, out: running},
			},
		},
		"on its way": {
			task: "!sd_service {service: app, started: true}", want: "matched",
			expect: []exchange{{argv: askUnit, out: unit("loaded", "activating", "static", "no")}},
		},
		"static": {
			task:   "!sd_service {service: app, enabled: true}",
			want:   "failed: unit app is static: it has no say in when it is started and cannot be enabled",
			expect: []exchange{{argv: askUnit, out: unit("loaded", "active", "static", "no")}},
		},
		"static and not enabled": {
			task: "!sd_service {service: app, enabled: false}", want: "matched",
			expect: []exchange{{argv: askUnit, out: unit("loaded", "active", "static", "no")}},
		},
		"masked": {
			task: "!sd_service {service: app, started: true}", want: "failed: unit app is masked: unmask it first",
			expect: []exchange{{argv: askUnit, out: unit("masked", "inactive", "masked", "no")}},
		},
		"unknown": {
			task: "!sd_service {service: app, started: true}", want: "failed: the host has no unit app",
			expect: []exchange{{argv: askUnit, out: unit("not-found", "inactive", "", "no")}},
		},
		"stop and restart": {
			task: "!sd_service {service: app, started: false, restart: true}",
			want: "refused: playbook.yml:4:7: started: false and restart or reload exclude each other",
		},
		"it does not stay up": {
			task: "!sd_service {service: app, started: true}",
			want: "failed: unit app failed as soon as it was started: systemctl status app says more",
			expect: []exchange{
				{argv: askUnit, out: stopped}, {argv: "systemctl start -- app"}, {argv: askUnit, out: unit("loaded", "failed", "disabled", "no")},
			},
		},
		"it does not stay up for long": {
			task: "!sd_service {service: app, restart: true}",
			want: "failed: unit app failed as soon as it was started: systemctl status app says more",
			expect: []exchange{
				{argv: askUnit, out: running},
				{argv: "systemctl restart -- app"},
				{argv: askUnit, out: running + "Type=simple\n"},
				{argv: askUnit, out: unit("loaded", "failed", "disabled", "no") + "Type=simple\n"},
			},
		},
		"it is started again and again": {
			task: "!sd_service {service: app, started: true}",
			want: "failed: unit app failed as soon as it was started: systemctl status app says more",
			expect: []exchange{
				{argv: askUnit, out: stopped},
				{argv: "systemctl start -- app"},
				{argv: askUnit, out: unit("loaded", "activating", "disabled", "no") + "SubState=auto-restart\nResult=exit-code\n"},
			},
		},
		"it was started again between two looks": {
			task: "!sd_service {service: app, started: true}",
			want: "failed: unit app failed as soon as it was started: systemctl status app says more",
			expect: []exchange{
				{argv: askUnit, out: stopped},
				{argv: "systemctl start -- app"},
				{argv: askUnit, out: running + "Type=simple\nNRestarts=3\n"},
				{argv: askUnit, out: running + "Type=simple\nNRestarts=4\n"},
			},
		},
		"it stays up": {
			task: "!sd_service {service: app, started: true}", want: "modified(Start)",
			expect: []exchange{
				{argv: askUnit, out: stopped},
				{argv: "systemctl start -- app"},
				{argv: askUnit, out: running + "Type=simple\nNRestarts=3\n"},
				{argv: askUnit, out: running + "Type=simple\nNRestarts=3\n"},
			},
		},
		"it is run again and again": {
			task: "!sd_service {service: app, started: true}", want: "modified(Start)",
			expect: []exchange{
				{argv: askUnit, out: stopped},
				{argv: "systemctl start -- app"},
				{argv: askUnit, out: unit("loaded", "activating", "disabled", "no") + "SubState=auto-restart\nResult=success\n"},
			},
		},
		"unmask, start and enable": {
			task: "!sd_service {service: app, masked: false, started: true, enabled: true}", want: "modified(Unmask,Start,Enable)",
			expect: []exchange{
				{argv: askUnit, out: unit("masked", "inactive", "masked", "no")},
				{argv: "systemctl unmask -- app"},
				{argv: "systemctl start -- app"},
				{argv: "systemctl enable -- app"},
				{argv: askUnit, out: running},
			},
		},
		"unmask and disable what is below": {
			task: "!sd_service {service: app, masked: false, enabled: false}", want: "modified(Unmask,Disable)",
			expect: []exchange{
				{argv: askUnit, out: unit("masked", "inactive", "masked", "no")},
				{argv: "systemctl unmask -- app"},
				{argv: "systemctl disable -- app"},
				{argv: askUnit, out: stopped},
			},
		},
		"stop and mask": {
			task: "!sd_service {service: app, masked: true, started: false, enabled: false}", want: "modified(Stop,Disable,Mask)",
			expect: []exchange{
				{argv: askUnit, out: running},
				{argv: "systemctl stop -- app"},
				{argv: "systemctl disable -- app"},
				{argv: "systemctl mask -- app"},
				{argv: askUnit, out: unit("masked", "inactive", "masked", "no")},
			},
		},
		"masked already": {
			task: "!sd_service {service: app, masked: true, started: false, enabled: false}", want: "matched",
			expect: []exchange{{argv: askUnit, out: unit("masked", "inactive", "masked", "no")}},
		},
		"masked although there is none": {
			task: "!sd_service {service: app, masked: true}", want: "modified(Mask)",
			expect: []exchange{
				{argv: askUnit, out: unit("not-found", "inactive", "", "no")},
				{argv: "systemctl mask -- app"},
				{argv: askUnit, out: unit("masked", "inactive", "masked", "no")},
			},
		},
		"stop a masked one": {
			task: "!sd_service {service: app, started: false}", want: "modified(Stop)",
			expect: []exchange{
				{argv: askUnit, out: unit("masked", "active", "masked", "no")},
				{argv: "systemctl stop -- app"},
				{argv: askUnit, out: unit("masked", "inactive", "masked", "no")},
			},
		},
		"its file changed": {
			task: "!sd_service {service: app, daemon_reload: true, started: true}", want: "modified(DaemonReload)",
			expect: []exchange{
				{argv: askUnit, out: unit("loaded", "active", "enabled", "yes")}, {argv: "systemctl daemon-reload"}, {argv: askUnit, out: running},
			},
		},
		"its file did not change": {
			task: "!sd_service {service: app, daemon_reload: true}", want: "matched", expect: []exchange{{argv: askUnit, out: running}},
		},
		"all files": {
			task: "!sd_service {daemon_reload: true}", want: "executed", expect: []exchange{{argv: "systemctl daemon-reload"}},
		},
		"reload of one that cannot": {
			task: "!sd_service {service: app, reload: true}", want: "failed: unit app has no way to reload: give restart instead",
			expect: []exchange{{argv: askUnit, out: running + "CanReload=no\n"}},
		},
		"reload of a stopped one": {
			task: "!sd_service {service: app, reload: true}", want: "modified(Start)",
			expect: []exchange{{argv: askUnit, out: stopped + "CanReload=no\n"}, {argv: "systemctl start -- app"}, {argv: askUnit, out: running}},
		},
		"an init script": {
			task: "!sd_service {service: app, enabled: true}", want: "modified(Enable)",
			expect: []exchange{
				{argv: askUnit, out: script},
				{argv: "systemctl is-enabled -- app", code: 1, out: "disabled\n"},
				{argv: "systemctl enable -- app"},
				{argv: askUnit, out: script},
				{argv: "systemctl is-enabled -- app", out: "enabled\n"},
			},
		},
		"indirect": {
			task:   "!sd_service {service: app, enabled: true}",
			want:   "failed: unit app is indirect: it has no say in when it is started and cannot be enabled",
			expect: []exchange{{argv: askUnit, out: unit("loaded", "active", "indirect", "no")}},
		},
		"a user's unit": {
			task: "!sd_service {service: app, scope: user, started: false}", want: "modified(Stop)",
			expect: []exchange{
				{argv: "id -u", out: "1000\n"},
				{argv: "systemctl --user show " + unitProperties, out: running},
				{argv: "systemctl --user stop -- app"},
				{argv: "systemctl --user show " + unitProperties, out: stopped},
			},
		},
		"no systemd": {
			task: "!sd_service {service: app, started: true}", want: "failed: systemd does not run on the host: running systemctl: exit status 1: " +
				"System has not been booted with systemd as init system (PID 1). Can't operate.",
			expect: []exchange{{argv: askUnit, code: 1, err: "System has not been booted with systemd as init system (PID 1). Can't operate.\n"}},
		},
		"nothing named":  {task: "!sd_service {started: true}", want: "refused: playbook.yml:4:7: service is missing"},
		"nothing at all": {task: "!sd_service {scope: user}", want: "refused: playbook.yml:4:7: service is missing"},
		"mask and start": {
			task: "!sd_service {service: app, masked: true, started: true}",
			want: "refused: playbook.yml:4:7: masked: true excludes enabled, started, restart and reload",
		},
		"a command for a name": {
			task: "!sd_service {service: 'a $(reboot)'}", want: `refused: playbook.yml:4:29: "a $(reboot)" is no name of a unit`,
		},
		"openrc: start and enable": {
			task: "!service {service: app, use: openrc, started: true, enabled: true}", want: "modified(Start,Enable)",
			expect: []exchange{
				{argv: "rc-service --exists app"},
				{argv: "rc-service app status", code: 3},
				{argv: "rc-update show", out: "  cron | default\n"},
				{argv: "rc-service app start"},
				{argv: "rc-update add app default"},
				{argv: "rc-service --exists app"},
				{argv: "rc-service app status"},
				{argv: "rc-update show", out: "  app | default\n"},
			},
		},
		"openrc: as described": {
			task: "!service {service: app, use: openrc, started: true, enabled: true}", want: "matched",
			expect: []exchange{
				{argv: "rc-service --exists app"},
				{argv: "rc-service app status", code: 8},
				{argv: "rc-update show", out: " apple | boot\n app | boot default\n"},
			},
		},
		"openrc: take out": {
			task: "!service {service: app, use: openrc, enabled: false}", want: "modified(Disable)",
			expect: []exchange{
				{argv: "rc-service --exists app"},
				{argv: "rc-service app status", code: 32},
				{argv: "rc-update show", out: " app | boot off\n"},
				{argv: "rc-update show", out: " app | boot off\n"},
				{argv: "rc-update del app boot off"},
				{argv: "rc-service --exists app"},
				{argv: "rc-service app status", code: 32},
				{argv: "rc-update show"},
			},
		},
		"openrc: unknown": {
			task: "!service {service: app, use: openrc, started: true}", want: "failed: the host has no service app",
			expect: []exchange{{argv: "rc-service --exists app", code: 1}},
		},
		"service: what it may not use": {
			task: "!service {service: app, use: upstart}", want: "refused: playbook.yml:4:36: use must be systemd, openrc or sysv",
		},
		"service: stop and reload": {
			task: "!service {service: app, started: false, reload: true}",
			want: "refused: playbook.yml:4:7: started: false and restart or reload exclude each other",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := tell(t, tt.task, false, tt.expect...); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// signHost is a fakeHost whose files can be looked for.
type signHost struct{ *fakeHost }

func (h signHost) Dial(context.Context, conn.Target) (conn.Conn, error) { return h, nil }

func (h signHost) Stat(_ context.Context, path string) (conn.FileInfo, error) {
	if _, ok := h.files[path]; !ok {
		return conn.FileInfo{}, &fs.PathError{Op: "stat", Path: path, Err: fs.ErrNotExist}
	}
	return conn.FileInfo{}, nil
}

func (h signHost) ReadDir(context.Context, string) ([]string, error) {
	return []string{"K01cron", "S02app"}, nil
}

// TestDetection makes sure that package and service find out what the host has.
func TestDetection(t *testing.T) {
	t.Parallel()
	const pkg, svc = "!package {package: git}", "!service {service: app, started: true, enabled: true}"
	const anyManager = "/bin/sh -c for m in apt-get dnf yum zypper pacman apk brew; do\n" +
		"  if command -v \"$m\" >/dev/null 2>&1; then echo \"$m\" && exit; fi\ndone"
	ok := func(s string) conn.Output { return conn.Output{Stdout: []byte(s)} }
	tests := map[string]struct {
		task     string
		files    map[string]string
		commands map[string]conn.Output
		want     string
	}{
		"debian": {
			pkg,
			map[string]string{"/etc/os-release": "ID=ubuntu\n"},
			map[string]conn.Output{aptShow: ok("install installed git amd64 1\n")},
			"matched",
		},
		"a relative of rhel": {
			pkg,
			map[string]string{"/usr/lib/os-release": "ID=other\nID_LIKE=\"rhel fedora\"\n"},
			map[string]conn.Output{rpmShow: ok("git x86_64 1\n")},
			"matched",
		},
		"suse": {
			pkg,
			map[string]string{"/etc/os-release": "ID=opensuse-leap\n"},
			map[string]conn.Output{rpmShow: ok("git x86_64 1\n")},
			"matched",
		},
		"arch":   {pkg, map[string]string{"/etc/os-release": "ID=arch\n"}, map[string]conn.Output{"pacman -Q -- git": ok("git 1\n")}, "matched"},
		"alpine": {pkg, map[string]string{"/etc/os-release": "ID=alpine\n"}, map[string]conn.Output{"apk info --installed --verbose git": ok("git-1-r0\n")}, "matched"},
		"by the program": {
			pkg, nil, map[string]conn.Output{anyManager: ok("pacman\n"), "pacman -Q -- git": ok("git 1\n")}, "matched",
		},
		"nothing known": {
			pkg,
			map[string]string{"/etc/os-release": "ID=void\n"},
			map[string]conn.Output{anyManager: ok("")},
			"failed: the host has no package manager that jet-bus knows; it looked for apt, dnf, yum, zypper, pacman, apk and brew",
		},
		"told what to use": {
			"!package {package: git, use: pacman}",
			map[string]string{"/etc/os-release": "ID=debian\n"},
			map[string]conn.Output{"pacman -Q -- git": ok("git 1\n")},
			"matched",
		},
		"systemd": {
			svc,
			map[string]string{"/run/systemd/system": "", "/run/openrc": "", "/etc/init.d": ""},
			map[string]conn.Output{askUnit: ok(unit("loaded", "active", "enabled", "no"))},
			"matched",
		},
		"openrc": {
			svc, map[string]string{"/run/openrc": "", "/etc/init.d": ""}, map[string]conn.Output{
				"rc-service --exists app": ok(""), "rc-service app status": ok(""), "rc-update show": ok("app | default\n"),
			}, "matched",
		},
		"init scripts": {
			svc,
			map[string]string{"/etc/init.d": "", "/etc/init.d/app": ""},
			map[string]conn.Output{"service app status": ok("")},
			"matched",
		},
		"no such script":      {svc, map[string]string{"/etc/init.d": ""}, nil, "failed: the host has no init script app"},
		"nothing at all runs": {svc, nil, nil, "failed: the host has none of systemd, OpenRC and init scripts to run services by"},
	}
	reg, err := engine.NewRegistry(modules.Table()...)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "playbook.yml")
			if err := os.WriteFile(file, []byte("- name: p\n  groups: [all]\n  tasks:\n    - "+tt.task+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			pb, err := engine.Parse(file, reg, engine.ParseOptions{})
			if err != nil {
				t.Fatal(err)
			}
			h := signHost{&fakeHost{files: tt.files, commands: tt.commands}}
			done := play(t, pb, engine.Options{Dialer: h})
			if len(done) != 1 || outcome(done[0]) != tt.want {
				t.Errorf("got %+v, want %s", done, tt.want)
			}
		})
	}
}
