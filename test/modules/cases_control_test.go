package modules

// nasty is a value that means something to shells, in YAML's double quotes.
const nasty = `"it's \"x\" $(touch /tmp/jet-nasty) ; \x60id\x60 \\ %s\nsecond line"`

// nastyText is the same as the host should have it.
const nastyText = "it's \"x\" $(touch /tmp/jet-nasty) ; `id` \\ %s\nsecond line"

var _ = add(
	Case{
		Module: "shell", Name: "runs a command each time",
		Task:  "!shell\ncmd: echo run >/srv/shell-runs\n",
		Probe: "cat /srv/shell-runs 2>/dev/null || echo none",
		Want:  "run",
		Need:  "executed", Always: true,
	},
	Case{
		Module: "shell", Name: "runs a script of several lines",
		Task:  "!shell\ncmd: |\n  for i in 1 2; do\n    echo \"line $i\"\n  done >/srv/shell-lines\n",
		Probe: "cat /srv/shell-lines 2>/dev/null || echo none",
		Want:  "line 1\nline 2",
		Need:  "executed", Always: true,
	},
	Case{
		Module: "shell", Name: "takes a quoted value as one word",
		Vars:  "value: " + nasty + "\n",
		Task:  "!shell\ncmd: printf %s {{quote value}} >/srv/shell-quoted\n",
		Probe: "cat /srv/shell-quoted 2>/dev/null; ls /tmp/jet-nasty 2>/dev/null || true",
		Want:  nastyText,
		Need:  "executed", Always: true,
	},
	Case{
		Module: "shell", Name: "runs in a directory with an odd name",
		Before: `mkdir -p "/srv/shell's \"odd\" dir"`,
		Task:   "!shell\ncmd: pwd >here\nchdir: \"/srv/shell's \\\"odd\\\" dir\"\n",
		Probe:  `cat "/srv/shell's \"odd\" dir/here" 2>/dev/null || echo none`,
		Want:   `/srv/shell's "odd" dir`,
		Need:   "executed", Always: true,
	},
	Case{
		Module: "shell", Name: "saves what the command printed",
		Task: "!shell\ncmd: printf 'out\\n\\n'; echo err >&2; exit 3\nsave: r\nfailed_when: rc != 3\n",
		Then: []string{
			"!assert\nall_true: [r.rc == 3, 'r.out == \"out\\n\"', 'r.err == \"err\"']\nwith:\n  condition: (isdefined r)\n",
		},
		Probe: "true",
		Need:  "executed", Always: true,
	},
	Case{
		Module: "shell", Name: "changes nothing when changed_when says so",
		Task:  "!shell\ncmd: echo same\nchanged_when: out != \"same\"\n",
		Probe: "true",
		Need:  "executed", Ran: "passive", Always: true,
	},
	Case{
		Module: "shell", Name: "runs as the login user",
		Task:  "!shell\ncmd: id -un >/tmp/shell-login; pwd >>/tmp/shell-login\n",
		Login: true,
		Probe: "cat /tmp/shell-login 2>/dev/null || echo none",
		Want:  "ops\n/home/ops",
		Need:  "executed", Always: true,
	},
	Case{
		Module: "shell", Name: "fails with what the command said",
		Task:  "!shell\ncmd: echo because >&2; exit 7\n",
		Probe: "true",
		Fails: "exit status 7: because",
	},
	Case{
		Module: "shell", Name: "fails when failed_when says so",
		Task:  "!shell\ncmd: echo bad\nfailed_when: out == \"bad\"\n",
		Probe: "true",
		Fails: `failed_when holds: out == "bad"`,
	},
	Case{
		Module: "shell", Name: "fails where there is no such directory",
		Task:  "!shell\ncmd: touch /srv/shell-never\nchdir: /srv/no such dir\n",
		Probe: "ls /srv/shell-never 2>/dev/null || echo none",
		Fails: "/srv/no such dir",
	},
	Case{
		Module: "shell", Name: "refuses no command",
		Task:  "!shell\ncmd: \"  \"\n",
		Probe: "true",
		Fails: "cmd is empty",
	},
)

const arguments = "#!/bin/sh\nfor a; do printf '<%s>' \"$a\"; done >/srv/script-args\n"

var _ = add(
	Case{
		Module: "script", Name: "hands over arguments as they are",
		Files: map[string]string{"files/args.sh": arguments},
		Vars:  "value: " + nasty + "\n",
		Task:  "!script\nsrc: args.sh\nargs: [\"{{value}}\", --help, -rf, \"\", \"* ?\", ünïcode]\n",
		Probe: "cat /srv/script-args 2>/dev/null; ls /tmp/jet-nasty 2>/dev/null || true",
		Want:  "<" + nastyText + "><--help><-rf><><* ?><ünïcode>",
		Need:  "executed", Always: true,
	},
	Case{
		Module: "script", Name: "runs once when it says what it creates",
		Files: map[string]string{"files/make.sh": "#!/bin/sh\necho made >>\"/srv/script made\"\n"},
		Task:  "!script\nsrc: make.sh\ncreates: /srv/script made\n",
		Probe: "cat '/srv/script made' 2>/dev/null || echo none",
		Want:  "made",
		Need:  "executed",
	},
	Case{
		Module: "script", Name: "leaves alone what is created",
		Before: "ln -s /nowhere /srv/script-link",
		Files:  map[string]string{"files/make.sh": "#!/bin/sh\necho made >/srv/script-unwanted\n"},
		Task:   "!script\nsrc: make.sh\ncreates: /srv/script-link\n",
		Probe:  "cat /srv/script-unwanted 2>/dev/null || echo none",
		Want:   "none",
		Need:   "matched",
	},
	Case{
		Module: "script", Name: "leaves nothing of itself behind",
		Before: `mkdir -p "/srv/script's tmp" /srv/script-dir`,
		Files:  map[string]string{"files/where is it.sh": "#!/bin/sh\ndirname \"$0\" | sed 's/jet-.*/jet-X/' >where; pwd >>where\n"},
		Task:   "!script\nsrc: where is it.sh\nchdir: /srv/script-dir\ntmp_dir: \"/srv/script's tmp\"\n",
		Probe:  `cat /srv/script-dir/where 2>/dev/null; ls -A "/srv/script's tmp"`,
		Want:   "/srv/script's tmp/jet-X\n/srv/script-dir",
		Need:   "executed", Always: true,
	},
	Case{
		Module: "script", Name: "runs what its first line says",
		Files: map[string]string{"files/run.py": "#!/usr/bin/python3\nopen('/srv/script-python', 'w').write('%d\\n' % (6 * 7))\n"},
		Task:  "!script\nsrc: run.py\n",
		Probe: "cat /srv/script-python 2>/dev/null || echo none",
		Want:  "42",
		Need:  "executed", Always: true,
	},
	Case{
		Module: "script", Name: "saves what the script printed",
		Files: map[string]string{"files/say.sh": "#!/bin/sh\necho said; echo but >&2; exit 4\n"},
		Task:  "!script\nsrc: say.sh\nsave: r\nfailed_when: rc != 4\nchanged_when: \"false\"\n",
		Then: []string{
			"!assert\nall_true: [r.rc == 4, 'r.out == \"said\"', 'r.err == \"but\"']\nwith:\n  condition: (isdefined r)\n",
		},
		Probe: "true",
		Need:  "executed", Ran: "passive", Always: true,
	},
	Case{
		Module: "script", Name: "runs as the login user, and no one else may read it",
		Files: map[string]string{"files/who.sh": "#!/bin/sh\n(id -un; stat -c %a \"$0\" \"${0%/*}\") >/tmp/script-login\n"},
		Task:  "!script\nsrc: who.sh\n",
		Login: true,
		Probe: "cat /tmp/script-login 2>/dev/null || echo none",
		Want:  "ops\n700\n700",
		Need:  "executed", Always: true,
	},
	Case{
		Module: "script", Name: "fails with what the script said",
		Files: map[string]string{"files/bad.sh": "#!/bin/sh\necho because >&2; exit 9\n"},
		Task:  "!script\nsrc: bad.sh\n",
		Probe: "ls -d /tmp/jet-* 2>/dev/null || echo none",
		Fails: "exit status 9: because",
	},
	Case{
		Module: "script", Name: "fails when it is not there",
		Task:  "!script\nsrc: nothing.sh\n",
		Probe: "true",
		Fails: "finding source file nothing.sh",
	},
)

var _ = add(
	Case{
		Module: "external", Name: "hands over parameters as JSON",
		Files: map[string]string{"modules/keep": "#!/bin/sh\ncat >/srv/external-params; echo '{}'\n"},
		Vars:  "value: " + nasty + "\n",
		Task:  "!external\nuse: keep\nparams:\n  text: \"{{value}}\"\n  n: 1\n  deep: [true, {a: null}]\n",
		Probe: "cat /srv/external-params 2>/dev/null; ls /tmp/jet-nasty 2>/dev/null || true",
		Want: `{"deep":[true,{"a":null}],"n":1,` +
			`"text":"it's \"x\" $(touch /tmp/jet-nasty) ; ` + "`id`" + ` \\ %s\nsecond line"}`,
		Need: "executed", Always: true,
	},
	Case{
		Module: "external", Name: "believes the program that nothing changed",
		Files: map[string]string{"modules/same": "#!/bin/sh\necho 'changed: false'; echo 'msg: all was well'\n"},
		Task:  "!external\nuse: same\nparams: {}\n",
		Probe: "true",
		Need:  "executed", Ran: "passive", Always: true, Says: "all was well",
	},
	Case{
		Module: "external", Name: "saves the answer",
		Files: map[string]string{"modules/tell": "#!/bin/sh\necho '{\"changed\": true, \"list\": [1, \"two\"]}'\n"},
		Task:  "!external\nuse: tell\nparams: {}\nsave: r\n",
		Then:  []string{"!assert\nall_true: [r.rc == 0, 'r.list[1] == \"two\"']\nwith:\n  condition: (isdefined r)\n"},
		Probe: "ls -d /tmp/jet-* 2>/dev/null || echo none",
		Want:  "none",
		Need:  "executed", Always: true,
	},
	Case{
		Module: "external", Name: "runs a program of python",
		Files: map[string]string{"modules/sum.py": "#!/usr/bin/python3\nimport json, sys\n" +
			"p = json.load(sys.stdin)\nopen('/srv/external-sum', 'w').write(str(sum(p['of'])))\nprint(json.dumps({'sum': sum(p['of'])}))\n"},
		Task:  "!external\nuse: sum.py\nparams:\n  of: [1, 2, 39]\n",
		Probe: "cat /srv/external-sum 2>/dev/null || echo none",
		Want:  "42",
		Need:  "executed", Always: true,
	},
	Case{
		Module: "external", Name: "fails with what the program said",
		Files: map[string]string{"modules/bad": "#!/bin/sh\necho because >&2; exit 2\n"},
		Task:  "!external\nuse: bad\nparams: {}\n",
		Probe: "ls -d /tmp/jet-* 2>/dev/null || echo none",
		Fails: "exit status 2: because",
	},
	Case{
		Module: "external", Name: "fails when the answer is no mapping",
		Files: map[string]string{"modules/list": "#!/bin/sh\necho '[1, 2]'\n"},
		Task:  "!external\nuse: list\nparams: {}\n",
		Probe: "true",
		Fails: "the program must print one mapping",
	},
	Case{
		Module: "external", Name: "fails when there is no answer",
		Files: map[string]string{"modules/mute": "#!/bin/sh\n"},
		Task:  "!external\nuse: mute\nparams: {}\n",
		Probe: "true",
		Fails: "the program printed nothing",
	},
	Case{
		Module: "external", Name: "refuses to leave the folders of modules",
		Files: map[string]string{"files/x": "#!/bin/sh\necho '{}'\n"},
		Task:  "!external\nuse: ../files/x\nparams: {}\n",
		Probe: "true",
		Fails: "must be the name of a file in a folder of modules",
	},
	Case{
		Module: "external", Name: "fails when it is not there",
		Task:  "!external\nuse: nothing\nparams: {}\n",
		Probe: "true",
		Fails: "finding module nothing",
	},
)
