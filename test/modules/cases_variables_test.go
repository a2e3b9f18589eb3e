package modules

import "github.com/jet-bus/jet-bus/engine"

// passive is a case of a module that only looks or speaks: then are asserts on what
// it stored.
func passive(module, name, before, task string, then ...string) Case {
	return Case{
		Module: module, Name: name, Before: before, Task: task, Then: then,
		Probe: "true", Need: "passive",
	}
}

// refused is a case of a module that needs no host and must fail.
func refused(module, name, task, why string) Case {
	return Case{Module: module, Name: name, Task: task, Probe: "true", Fails: why}
}

var _ = add(
	passive("stat", "a file", "printf 12345 >/srv/stat-file && chown ops:plain /srv/stat-file && chmod 4640 /srv/stat-file",
		"!stat\npath: /srv/stat-file\nsave: s\n",
		"!assert\nall_true:\n- s.exists\n- not s.is_dir\n- s.mode == \"0o4640\"\n- s.owner == \"ops\"\n- s.group == \"plain\"\n- s.size == 5\n"),
	passive("stat", "a directory with an odd name", `mkdir -p "/srv/stat \"dir\" of 'x'
y"`,
		"!stat\npath: \"/srv/stat \\\"dir\\\" of 'x'\\ny\"\nsave: s\n",
		"!assert\nall_true: [s.exists, s.is_dir, s.mode == \"0o755\"]\n"),
	passive("stat", "what is not there", "",
		"!stat\npath: /srv/stat-none/x\nsave: s\n",
		"!assert\nall_true: [not s.exists, not s.is_dir, s.mode == nil, s.size == nil, s.owner == nil]\n"),
	passive("stat", "a link is followed", "printf 123 >/srv/stat-target && ln -sf stat-target /srv/stat-link",
		"!stat\npath: /srv/stat-link\nsave: s\n",
		"!assert\ntrue: s.size == 3\n"),
	passive("stat", "a link that leads nowhere", "ln -sf /srv/nowhere /srv/stat-broken",
		"!stat\npath: /srv/stat-broken\nsave: s\n",
		"!assert\nfalse: s.exists\n"),
	passive("stat", "an owner without a name", "touch /srv/stat-owner && chown 54321:54322 /srv/stat-owner",
		"!stat\npath: /srv/stat-owner\nsave: s\n",
		"!assert\ntrue: s.owner == \"54321\" && s.group == \"54322\"\n"),
	refused("stat", "refuses a relative path", "!stat\npath: etc/passwd\nsave: s\n", `path "etc/passwd" is relative`),
	refused("stat", "refuses a name that is none", "!stat\npath: /etc\nsave: 1x\n", `"1x" cannot name a variable`),
	Case{
		Module: "stat", Name: "fails where it may not look",
		Before: "install -d -m 700 /srv/stat-shut && touch /srv/stat-shut/in",
		Task:   "!stat\npath: /srv/stat-shut/in\nsave: s\n",
		Login:  true,
		Probe:  "true",
		Fails:  "permission denied",
	},

	Case{
		Module: "set", Name: "stores values of all kinds",
		Vars: "value: " + nasty + "\nname: x\n",
		Task: "!set\nvars:\n  text: \"{{value}}\"\n  n: 7\n  deep: {list: [1, \"{{name}}\"], none: null}\n  yes_text: yes\n",
		Then: []string{
			"!assert\nall_true: [text == value, n == 7, 'deep.list[1] == \"x\"', deep.none == nil, 'yes_text == \"yes\"']\n",
			"!set\nvars: {deep: {other: 1}}\n",
			"!assert\nfalse: ('list' in deep)\n",
		},
		Probe: "ls /tmp/jet-nasty 2>/dev/null || true",
		Need:  "passive",
	},
	refused("set", "refuses item", "!set\nvars: {item: 1}\n", "a variable cannot be stored as item"),
	refused("set", "refuses a name that is none", "!set\nvars: {\"a b\": 1}\n", `"a b" cannot name a variable`),
	refused("set", "refuses a variable that is not there", "!set\nvars: {a: \"{{nothing}}\"}\n", "nothing"),

	passive("facts", "of Debian", "", "!facts {}\n",
		"!assert\nall_true:\n- jet_os_type == \"Linux\"\n- jet_os_flavor == \"Debian\"\n- jet_os_release_id == \"debian\"\n"+
			"- jet_os_release_version_id == \"12\"\n- jet_hostname startsWith \"host\"\n- jet_arch in [\"x86_64\", \"aarch64\"]\n- len(jet_kernel) > 0\n"),
	refused("facts", "fails without facter", "!facts\nfacter: true\n", "running facter: the host has no such program"),
	refused("facts", "fails without ohai", "!facts\nohai: true\n", "running ohai: the host has no such program"),
	Case{
		Module: "facts", Name: "of facter",
		Before: `printf '#!/bin/sh\necho "{\\"memory\\": {\\"total\\": 17}, \\"up\\": 1.5}"\n' >/usr/local/bin/facter && chmod 755 /usr/local/bin/facter`,
		Task:   "!facts\nfacter: true\n",
		Then:   []string{"!assert\nall_true: [facter.memory.total == 17, facter.up == 1.5]\n"},
		Probe:  "true",
		Need:   "passive",
		Alone:  true,
	},

	passive("assert", "holds", "",
		"!assert\ntrue: 1 == 1\nfalse: 1 == 2\nall_true: [2 > 1, (eq 1 1)]\nall_false: [1 > 2]\nsome_true: [1 > 2, 2 > 1]\n"),
	passive("assert", "holds of nothing", "", "!assert\nall_true: []\nall_false: []\n"),
	refused("assert", "fails with its message", "!assert\ntrue: 1 == 2\nmsg: \"not 'right'\"\n", "not 'right' (1 == 2 is false)"),
	refused("assert", "fails when something holds", "!assert\nall_false: [1 == 2, 1 == 1]\n", "1 == 1 is true"),
	refused("assert", "fails when none holds", "!assert\nsome_true: []\n", "none of some_true is true"),
	refused("assert", "fails of what is not defined", "!assert\ntrue: nothing == 1\n", "nothing"),
	refused("assert", "refuses no condition", "!assert\nmsg: x\n", "is needed"),

	Case{
		Module: "debug", Name: "prints variables",
		Vars:  "a: {b: [1, \"x: y\"]}\nunasked: 1\n",
		Task:  "!debug\nvars: [a, none]\n",
		Probe: "true", Need: "passive",
		Says: "a:\n  b:\n    - 1\n    - 'x: y'\n# not defined: none",
	},
	Case{
		Module: "debug", Name: "hides secrets",
		Vars:  "jet_sudo_password: hunter2\n",
		Task:  "!debug\nvars: [jet_sudo_password]\n",
		Probe: "true", Need: "passive",
		Says: "jet_sudo_password: " + engine.Hidden,
	},
	Case{
		Module: "debug", Name: "prints all variables",
		Vars:  "only_one: " + nasty + "\n",
		Task:  "!debug {}\n",
		Probe: "ls /tmp/jet-nasty 2>/dev/null || true", Need: "passive",
		Says: "only_one: ",
	},
	Case{
		Module: "echo", Name: "prints a message",
		Vars:  "value: " + nasty + "\n",
		Task:  "!echo\nmsg: \"so: {{value}}\"\n",
		Probe: "ls /tmp/jet-nasty 2>/dev/null || true", Need: "passive",
		Says: "so: " + nastyText,
	},
	refused("echo", "refuses no message", "!echo {}\n", `missing key "msg"`),
	refused("fail", "fails with its message", "!fail\nmsg: \"because of 'x'\"\n", "because of 'x'"),
	refused("fail", "fails without a message", "!fail {}\n", "the playbook says to fail here"),
)
