package modules

var _ = add(
	Case{
		Module: "line", Name: "adds a line",
		Before: "printf 'a=1\\n' >/etc/line.conf",
		Task:   "!line\npath: /etc/line.conf\nregexp: ^answer=\nline: answer=42\n",
		Probe:  "cat /etc/line.conf",
		Want:   "a=1\nanswer=42",
		Need:   "modified", Fields: []string{"Content"}, Diff: []string{"+answer=42"},
	},
	Case{
		Module: "line", Name: "refuses a directory",
		Task:  "!line\npath: /etc\nline: answer=42\n",
		Probe: "ls -d /etc",
		Fails: "/etc is a directory",
	},
	Case{
		Module: "line", Name: "keeps what its command finds bad",
		Before: "printf 'a=1\\n' >/etc/line-bad.conf",
		Task:   "!line\npath: /etc/line-bad.conf\nline: b=2\nvalidate: \"! grep -q b= %s\"\n",
		Probe:  "cat /etc/line-bad.conf; ls -A /etc | grep line-bad",
		Fails:  "exit status 1",
	},
)
