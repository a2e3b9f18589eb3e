package modules

// unitNone takes a unit away, whatever became of it, and unitFile makes one that
// runs until it is stopped.
const (
	unitNone = `systemctl stop labd >/dev/null 2>&1
rm -rf /usr/lib/systemd/system/labd.service /etc/systemd/system/labd.service /etc/systemd/system/*.wants/labd.service \
  /etc/init.d/labd /etc/rc?.d/???labd /run/labd.*
`
	unitFile = `cat >/usr/lib/systemd/system/labd.service <<'END'
[Service]
ExecStart=/bin/sleep infinity
ExecReload=/bin/touch /run/labd.reloaded
[Install]
WantedBy=multi-user.target
END
systemctl daemon-reload
`
	runUnit    = "systemctl start labd\n"
	enableUnit = "systemctl enable labd >/dev/null 2>&1\n"
	// notePID keeps the number of the unit's process, samePID compares it.
	notePID = "systemctl show -P MainPID labd >/run/labd.pid\n"
	samePID = `test "$(systemctl show -P MainPID labd)" = "$(cat /run/labd.pid 2>/dev/null)" && echo same || echo other`
	// staticUnit takes from the unit what says when it is started, changeUnit makes
	// its file differ from what systemd has read.
	staticUnit = "sed -i '/Install/,$d' /usr/lib/systemd/system/labd.service; systemctl daemon-reload\n"
	changeUnit = "touch -d '1 hour ago' /usr/lib/systemd/system/labd.service; systemctl daemon-reload; " +
		"echo '# changed' >>/usr/lib/systemd/system/labd.service\n"
)

// initScript makes an init script of the same name.
const initScript = `cat >/etc/init.d/labd <<'END'
#!/bin/sh
### BEGIN INIT INFO
# Provides: labd
# Required-Start: $remote_fs
# Required-Stop: $remote_fs
# Default-Start: 2 3 4 5
# Default-Stop: 0 1 6
# Short-Description: for the suites
### END INIT INFO
runs() { kill -0 "$(cat /run/labd.init 2>/dev/null)" 2>/dev/null; }
case $1 in
start) runs || { setsid sleep infinity </dev/null >/dev/null 2>&1 & echo $! >/run/labd.init; } ;;
stop) runs && kill "$(cat /run/labd.init)"; rm -f /run/labd.init ;;
restart) $0 stop; $0 start ;;
status) runs && exit 0; exit 3 ;;
esac
END
chmod +x /etc/init.d/labd; systemctl daemon-reload
`

// openRCScript makes a service of OpenRC.
const openRCScript = `rc-service labrc stop >/dev/null 2>&1; rm -f /etc/runlevels/*/labrc
cat >/etc/init.d/labrc <<'END'
#!/sbin/openrc-run
command=/bin/sleep
command_args=infinity
command_background=true
pidfile=/run/labrc.pid
extra_started_commands=reload
reload() { touch /run/labrc.reloaded; }
END
chmod +x /etc/init.d/labrc
`

// of makes a case of a service, which before makes.
func of(module, name, before, task string) Case {
	return Case{
		Module: module, Name: name, Before: unitNone + before + "true\n", Task: "!" + module + "\nservice: labd\n" + task,
		Probe: "systemctl is-active labd; systemctl is-enabled labd 2>/dev/null; true",
	}
}

// does says what the case must leave and say.
func (c Case) does(want string, fields ...string) Case {
	c.Want, c.Need, c.Fields = want, "modified", fields
	if len(fields) == 0 {
		c.Need = "matched"
	}
	return c
}

// always says that the case is a change each time.
func (c Case) always() Case {
	c.Always = true
	return c
}

// probed adds to what is looked at.
func (c Case) probed(more string) Case {
	c.Probe += "\n" + more + "; true"
	return c
}

var _ = add(
	of("sd_service", "starts and enables", unitFile, "started: true\nenabled: true\n").does("active\nenabled", "Start", "Enable"),
	of("sd_service", "stops and disables", unitFile+runUnit+enableUnit, "started: false\nenabled: false\n").
		does("inactive\ndisabled", "Stop", "Disable"),
	of("sd_service", "matches", unitFile+runUnit+enableUnit, "started: true\nenabled: true\nmasked: false\n").does("active\nenabled"),
	of("sd_service", "leaves alone what is not given", unitFile+runUnit, "enabled: false\n").does("active\ndisabled"),
	of("sd_service", "restarts", unitFile+runUnit+notePID, "restart: true\n").
		probed(samePID).does("active\ndisabled\nother", "Restart").always(),
	of("sd_service", "starts one that is to be restarted", unitFile, "restart: true\nstarted: true\n").
		does("active\ndisabled", "Start").always(),
	of("sd_service", "reloads", unitFile+runUnit+notePID, "reload: true\n").probed(samePID+"; ls /run/labd.reloaded 2>/dev/null").
		does("active\ndisabled\nsame\n/run/labd.reloaded", "Reload").always(),
	of("sd_service", "stops, disables and masks", unitFile+runUnit+enableUnit, "started: false\nenabled: false\nmasked: true\n").
		does("inactive\nmasked", "Stop", "Disable", "Mask"),
	of("sd_service", "masks one that runs", unitFile+runUnit, "masked: true\n").does("active\nmasked", "Mask"),
	of("sd_service", "unmasks, starts and enables", unitFile+"systemctl mask labd 2>/dev/null\n",
		"masked: false\nstarted: true\nenabled: true\n").does("active\nenabled", "Unmask", "Start", "Enable"),
	of("sd_service", "disables below a mask", unitFile+enableUnit+"systemctl mask labd 2>/dev/null\n", "masked: false\nenabled: false\n").
		does("inactive\ndisabled", "Unmask", "Disable"),
	of("sd_service", "starts a static one", unitFile+staticUnit, "started: true\nenabled: false\n").does("active\nstatic", "Start"),
	of("sd_service", "reads a changed file anew", unitFile+runUnit+changeUnit, "daemon_reload: true\n").
		probed("systemctl show -P NeedDaemonReload labd").does("active\ndisabled\nno", "DaemonReload"),
	of("sd_service", "reads a changed file before it restarts", unitFile+runUnit+notePID+changeUnit, "restart: true\n").
		probed("systemctl show -P NeedDaemonReload labd; "+samePID).does("active\ndisabled\nno\nother", "Restart").always(),
	of("sd_service", "starts and enables an init script", initScript, "started: true\nenabled: true\n").
		probed("ls /etc/rc2.d | grep labd; true").does("active\nenabled\nS01labd", "Start", "Enable"),
	of("sd_service", "disables an init script", initScript+enableUnit, "enabled: false\n").does("inactive\ndisabled", "Disable"),
	Case{
		Module: "sd_service", Name: "takes an escaped name", Before: `systemctl stop 'lab\x20d' 2>/dev/null
printf '[Service]\nExecStart=/bin/sleep infinity\n' >'/usr/lib/systemd/system/lab\x20d.service'; systemctl daemon-reload`,
		Task:  "!sd_service\nservice: 'lab\\x20d.service'\nstarted: true\n",
		Probe: `systemctl is-active 'lab\x20d'; true`, Want: "active", Need: "modified", Fields: []string{"Start"},
	},
	of("sd_service", "refuses to start a masked one", unitFile+"systemctl mask labd 2>/dev/null\n", "started: true\n").
		refuses("unit labd is masked: unmask it first"),
	of("sd_service", "refuses to enable a static one", unitFile+staticUnit, "enabled: true\n").refuses("unit labd is static"),
	of("sd_service", "refuses to reload what cannot", unitFile+
		"sed -i /ExecReload/d /usr/lib/systemd/system/labd.service; systemctl daemon-reload\n"+runUnit, "reload: true\n").
		refuses("unit labd has no way to reload"),
	of("sd_service", "refuses what there is not", "systemctl daemon-reload\n", "started: true\n").refuses("the host has no unit labd"),
	of("sd_service", "refuses two services", unitFile, "service: labd cron\nstarted: true\n").refuses("service"),
	Case{
		Module: "sd_service", Name: "says that a service does not stay up",
		Before: unitNone + unitFile + "sed -i 's#/bin/sleep infinity#/bin/false#' /usr/lib/systemd/system/labd.service; systemctl daemon-reload",
		Task:   "!sd_service\nservice: labd\nstarted: true\n", Probe: "systemctl is-enabled labd 2>/dev/null; true",
		Fails: "unit labd failed as soon as it was started",
	},
	Case{
		Module: "sd_service", Name: "refuses a user whose systemd does not run", Login: true,
		Task: "!sd_service\nservice: labd\nscope: user\nstarted: true\n", Probe: "ls -A /run/user 2>/dev/null; true",
		Fails: "no systemd of user ops runs on the host",
	},
	Case{
		Module: "sd_service", Name: "starts and enables a user's unit", Kinds: managed, Login: true,
		Before: `loginctl enable-linger ops && systemctl start user@1000; mkdir -p /home/ops/.config/systemd/user
printf '[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=default.target\n' >/home/ops/.config/systemd/user/labu.service
chown -R ops: /home/ops/.config; runuser -u ops -- env XDG_RUNTIME_DIR=/run/user/1000 systemctl --user daemon-reload`,
		Task:  "!sd_service\nservice: labu\nscope: user\nstarted: true\nenabled: true\n",
		Probe: "for a in is-active is-enabled; do runuser -u ops -- env XDG_RUNTIME_DIR=/run/user/1000 systemctl --user $a labu; done; true",
		Want:  "active\nenabled", Need: "modified", Fields: []string{"Start", "Enable"},
	},
)

// withOpenRC and withSysV make a case for the other init systems.
func withOpenRC(name, before, task string) Case {
	return Case{
		Module: "service", Name: "openrc " + name, Kinds: managed, Before: openRCScript + before + "true\n",
		Task:  "!service\nservice: labrc\nuse: openrc\n" + task,
		Probe: "rc-service labrc status 2>&1 | grep -o 'started$\\|stopped$'; ls /etc/runlevels/*/labrc 2>/dev/null; true",
	}
}

func withSysV(name, before, task string) Case {
	c := of("service", "sysv "+name, initScript+before, "use: sysv\n"+task)
	c.Probe = "service labd status >/dev/null && echo runs; ls /etc/rc2.d | grep labd; true"
	return c
}

const (
	runRC    = "rc-service labrc start >/dev/null 2>&1\n"
	enableRC = "rc-update add labrc default >/dev/null; rc-update add labrc boot >/dev/null\n"
)

var _ = add(
	of("service", "starts and enables", unitFile, "started: true\nenabled: true\n").does("active\nenabled", "Start", "Enable"),
	of("service", "stops and disables", unitFile+runUnit+enableUnit, "started: false\nenabled: false\n").
		does("inactive\ndisabled", "Stop", "Disable"),
	of("service", "matches", unitFile+runUnit+enableUnit, "started: true\nenabled: true\n").does("active\nenabled"),
	of("service", "restarts", unitFile+runUnit+notePID, "restart: true\n").probed(samePID).does("active\ndisabled\nother", "Restart").always(),
	of("service", "refuses what there is not", "systemctl daemon-reload\n", "started: true\n").refuses("the host has no unit labd"),

	withOpenRC("starts and enables", "", "started: true\nenabled: true\n").does("started\n/etc/runlevels/default/labrc", "Start", "Enable"),
	withOpenRC("stops and disables", runRC+enableRC, "started: false\nenabled: false\n").does("stopped", "Stop", "Disable"),
	withOpenRC("matches", runRC+enableRC, "started: true\nenabled: true\n").
		does("started\n/etc/runlevels/boot/labrc\n/etc/runlevels/default/labrc"),
	withOpenRC("restarts", runRC, "restart: true\n").does("started", "Restart").always(),
	withOpenRC("reloads", runRC+"rm -f /run/labrc.reloaded\n", "reload: true\n").probed("ls /run/labrc.reloaded 2>/dev/null").
		does("started\n/run/labrc.reloaded", "Reload").always(),
	Case{
		Module: "service", Name: "openrc refuses what there is not", Kinds: managed,
		Task: "!service\nservice: lab-of-nobody\nuse: openrc\nstarted: true\n", Probe: "true", Fails: "the host has no service lab-of-nobody",
	},

	withSysV("starts and enables", "", "started: true\nenabled: true\n").does("runs\nS01labd", "Start", "Enable"),
	withSysV("stops and disables", "service labd start\nupdate-rc.d labd defaults\n", "started: false\nenabled: false\n").
		does("K01labd", "Stop", "Disable"),
	withSysV("matches", "service labd start\nupdate-rc.d labd defaults\n", "started: true\nenabled: true\n").does("runs\nS01labd"),
	Case{
		Module: "service", Name: "sysv refuses what there is not",
		Task: "!service\nservice: lab-of-nobody\nuse: sysv\nstarted: true\n", Probe: "true", Fails: "the host has no init script lab-of-nobody",
	},
)
