package modules

import (
	"fmt"
	"strings"
)

// listing is a probe that lists a tree with types, modes and links, without what the
// modules note for themselves.
func listing(dir string) string {
	return "find " + dir + ` ! -name .jet-installed.json -printf '%y %m %u %P %l\n' 2>/dev/null | sed 's/ *$//' | sort -k4; true`
}

var _ = add(
	Case{
		Module: "copy", Name: "writes content to a name that a shell would not like",
		Task:  "!copy\ncontent: \"$(touch /pwned) 'a' \\\"b\\\"\\n\"\ndest: \"/srv/$(touch x) 'a' \\\"b\\\" é\"\nattributes: {mode: 0o640, group: adm}\n",
		Probe: `cd /srv; ls /pwned 2>&1; stat -c '%a %U %G' -- '$(touch x) '"'a'"' "b" é' 2>/dev/null && cat -- '$(touch x) '"'a'"' "b" é'; true`,
		Want:  "ls: cannot access '/pwned': No such file or directory\n640 root adm\n$(touch /pwned) 'a' \"b\"",
		Need:  "created", Diff: []string{"+$(touch /pwned) 'a' \"b\""},
	},
	Case{
		Module: "copy", Name: "changes content and mode",
		Before: "mkdir -p /srv/copy && printf 'old\\n' >/srv/copy/c && chmod 600 /srv/copy/c",
		Files:  map[string]string{"files/new": "new\n"},
		Task:   "!copy\nsrc: new\ndest: /srv/copy/c\nattributes: {mode: 0o644, owner: daemon}\n",
		Probe:  "stat -c '%a %U' /srv/copy/c; cat /srv/copy/c",
		Want:   "644 daemon\nnew",
		Need:   "modified", Fields: []string{"Content", "Mode", "Owner"}, Diff: []string{"-old", "+new"},
	},
	Case{
		Module: "copy", Name: "is matched at once",
		Before: "printf 'same\\n' >/srv/same && chmod 604 /srv/same",
		Task:   "!copy\ncontent: \"same\\n\"\ndest: /srv/same\n",
		Probe:  "stat -c %a /srv/same; cat /srv/same",
		Want:   "604\nsame", Need: "matched",
	},
	Case{
		Module: "copy", Name: "keeps a backup",
		Before: "mkdir -p /srv/backup && printf 'old\\n' >/srv/backup/f && chmod 604 /srv/backup/f",
		Task:   "!copy\ncontent: \"new\\n\"\ndest: /srv/backup/f\nbackup: true\n",
		Probe:  "cd /srv/backup; for f in *; do echo \"$(echo $f | sed 's/[0-9]\\{8\\}T[0-9]\\{6\\}Z/TIME/') $(stat -c %a $f) $(cat $f)\"; done",
		Want:   "f 604 new\nf.TIME 604 old",
		Need:   "modified", Fields: []string{"Content"},
	},
	Case{
		Module: "copy", Name: "is let pass by visudo",
		Task:  "!copy\ncontent: \"daemon ALL=(ALL) NOPASSWD: /bin/true\\n\"\ndest: /etc/sudoers.d/daemon\nattributes: {mode: 0o440}\nvalidate: visudo -cf %s\n",
		Probe: "ls -A /etc/sudoers.d | grep -e daemon -e jet-; stat -c %a /etc/sudoers.d/daemon 2>/dev/null; true",
		Want:  "daemon\n440", Need: "created",
	},
	Case{
		Module: "copy", Name: "is held back by visudo",
		Before: "printf '# old\\n' >/etc/sudoers.d/bad && chmod 440 /etc/sudoers.d/bad",
		Task:   "!copy\ncontent: \"this is no sudoers file\\n\"\ndest: /etc/sudoers.d/bad\nbackup: true\nvalidate: visudo -cf %s\n",
		Probe:  "ls -A /etc/sudoers.d; cat /etc/sudoers.d/bad",
		Fails:  "the new content is not valid, and the file was left as it was: exit status 1",
	},
	Case{
		Module: "copy", Name: "is let pass by what goes by the end of the name",
		Task:  "!copy\ncontent: \"[Service]\\nExecStart=/bin/true\\n\"\ndest: /etc/systemd/system/let-pass.service\nvalidate: systemd-analyze verify %s\n",
		Probe: "ls -A /etc/systemd/system | grep -e let-pass -e '[.]jet-'; true",
		Want:  "let-pass.service", Need: "created",
	},
	Case{
		Module: "copy", Name: "may not write what the user may not",
		Task:  "!copy\ncontent: x\ndest: /etc/nope\n",
		Login: true,
		Probe: "ls -A /etc | grep nope; true",
		Fails: "ermission denied",
	},
	Case{
		Module: "copy", Name: "copies a tree",
		Files: map[string]string{
			"files/site/index.html": "hello\n", "files/site/img/a 'b'.svg": "<svg/>\n", "files/site/img/deep/er/x": "", "files/site/-rf": "x",
		},
		Task:  "!copy\nsrc: site/\ndest: /srv/tree/new/\nattributes: {owner: daemon}\nfile_mode: 0o640\ndirectory_mode: 0o750\n",
		Probe: listing("/srv/tree"),
		Want: "d 755 root\nd 750 daemon new\nf 640 daemon new/-rf\nd 750 daemon new/img\nf 640 daemon new/img/a 'b'.svg\n" +
			"d 750 daemon new/img/deep\nd 750 daemon new/img/deep/er\nf 640 daemon new/img/deep/er/x\nf 640 daemon new/index.html",
		Need: "created", Diff: []string{"+hello", "+<svg/>"},
	},
	Case{
		Module: "copy", Name: "mirrors a tree",
		Before: "mkdir -p /srv/mirror/old /srv/mirror/sub && cd /srv/mirror && chmod 711 . && echo x >old/x && echo x >extra && " +
			"ln -s /etc/passwd a && ln -s /etc kept && echo same >sub/same && chmod 600 sub/same",
		Files: map[string]string{"files/m/a": "a\n", "files/m/sub/same": "same\n", "files/m/sub/new": "new\n"},
		Task:  "!copy\nsrc: m\ndest: /srv/mirror\ndelete: true\n",
		Probe: listing("/srv/mirror") + "; stat -c %s /etc/passwd | grep -q '^2$' && echo overwritten; ls /etc/hostname",
		Want:  "d 711 root\nf 644 root a\nd 755 root sub\nf 644 root sub/new\nf 644 root sub/same\n/etc/hostname",
		Need:  "modified", Fields: []string{"Content", "Mode"},
		Diff: []string{"-(removed, not shown)", "+a", "-(a link to /etc/passwd)"},
	},
	Case{
		Module: "copy", Name: "writes nothing through a link to a directory",
		Before: "mkdir -p /srv/through /srv/behind && ln -s /srv/behind /srv/through/sub",
		Files:  map[string]string{"files/t/sub/x": "x\n"},
		Task:   "!copy\nsrc: t/\ndest: /srv/through\n",
		Probe:  "ls -A /srv/through /srv/behind",
		Fails:  "/srv/through/sub is in the way: it is a symbolic link on the host and a directory in src",
	},
	Case{
		Module: "copy", Name: "copies many small files",
		Files: manyFiles(300),
		Task:  "!copy\nsrc: many/\ndest: /srv/many\n",
		Probe: "find /srv/many -type f 2>/dev/null | wc -l; cat /srv/many/*/* 2>/dev/null | sort -n | md5sum",
		Want:  "300\n" + "f8b06bf66fbb71fb741d05e7a42847be  -", Need: "created",
	},
	Case{
		Module: "template", Name: "is held back and keeps the old file",
		Before: "printf 'port=1\\n' >/srv/t.conf",
		Files:  map[string]string{"templates/t": "port={{port}}\n"}, Vars: "port: \"no number; $(reboot)\"",
		Task:  "!template\nsrc: t\ndest: /srv/t.conf\nvalidate: \"grep -Eqx 'port=[0-9]+' %s || { echo the port is bad; exit 1; }\"\n",
		Probe: "ls -A /srv | grep t.conf; cat /srv/t.conf",
		Fails: "exit status 1: the port is bad",
	},
	Case{
		Module: "template", Name: "is let pass and keeps a backup",
		Before: "printf 'port=1\\n' >/srv/t2.conf",
		Files:  map[string]string{"templates/t": "port={{port}}\n"}, Vars: "port: 8080",
		Task:  "!template\nsrc: t\ndest: /srv/t2.conf\nbackup: true\nvalidate: grep -Eqx 'port=[0-9]+' %s\n",
		Probe: "cd /srv; ls -A | grep -c t2.conf; cat t2.conf*",
		Want:  "2\nport=8080\nport=1",
		Need:  "modified", Fields: []string{"Content"}, Diff: []string{"-port=1", "+port=8080"},
	},
)

// manyFiles are files with their numbers in them.
func manyFiles(n int) map[string]string {
	files := make(map[string]string, n)
	for i := range n {
		files[fmt.Sprintf("files/many/%d/%d", i%7, i)] = fmt.Sprintln(i)
	}
	return files
}

// packed is a tree to archive, made on the host.
const packed = `mkdir -p /srv/p/sub && cd /srv/p && printf 'a\n' >"it's \"a\"" && printf x >sub/-rf && chmod 755 sub/-rf &&
	ln -sf sub/-rf link && echo log >sub/run.log && chown daemon sub/-rf && touch -d @1700000000 "it's \"a\"" sub/-rf`

// inArchive lists what an archive holds, with the host's own tools.
func inArchive(name string) string {
	if strings.HasSuffix(name, ".zip") {
		return "unzip -t -q " + name + " 2>&1 | sed 's/No errors.*/sound/'; unzip -Z1 " + name + " 2>/dev/null | LC_ALL=C sort; stat -c %a " + name + " 2>/dev/null; true"
	}
	return "tar -tvf " + name + " 2>/dev/null | awk '{print $1, $2, $6, $7, $8, $9}' | sed 's/ *$//' | LC_ALL=C sort -k3; stat -c %a " + name + " 2>/dev/null; true"
}

func archiveCase(end string) Case {
	c := Case{
		Module: "archive", Name: "makes " + end, Before: packed,
		Task:  "!archive\npaths: [/srv/p]\ndest: /srv/made" + end + "\nexclude: ['*.log']\nattributes: {mode: 0o600}\n",
		Probe: inArchive("/srv/made" + end),
		Want: "drwxr-xr-x root/root p/\n-rw-r--r-- root/root p/it's \"a\"\nlrwxrwxrwx root/root p/link -> sub/-rf\n" +
			"drwxr-xr-x root/root p/sub/\n-rwxr-xr-x daemon/root p/sub/-rf\n600",
		Need: "created",
	}
	if end == ".zip" {
		c.Want = "sound\np/\np/it's \"a\"\np/link\np/sub/\np/sub/-rf\n600"
		c.Probe = "test -e /srv/made.zip && { " + c.Probe + "; }; true"
	}
	return c
}

var _ = add(
	archiveCase(".tar"), archiveCase(".tar.gz"), archiveCase(".tar.bz2"), archiveCase(".tar.xz"), archiveCase(".tar.zst"), archiveCase(".zip"),
	Case{
		Module: "archive", Name: "replaces what was there",
		Before: packed + "; echo old >/srv/old.tgz",
		Task:   "!archive\npaths: [/srv/p/sub, /srv/p/link, /etc/hostname]\ndest: /srv/old.tgz\n",
		Probe:  "tar -tzf /srv/old.tgz 2>/dev/null || cat /srv/old.tgz",
		Want:   "etc/hostname\nsrv/p/link\nsrv/p/sub/\nsrv/p/sub/-rf\nsrv/p/sub/run.log",
		Need:   "modified", Fields: []string{"Content"},
	},
	Case{
		Module: "archive", Name: "lies in what it archives",
		Before: "mkdir -p /srv/self && cd /srv/self && echo a >a && mkfifo pipe 2>/dev/null; true",
		Task:   "!archive\npaths: [/srv/self]\ndest: /srv/self/self.tar\n",
		Probe:  "tar -tf /srv/self/self.tar 2>/dev/null; true",
		Want:   "self/\nself/a", Need: "created",
	},
	Case{
		Module: "archive", Name: "refuses what is not there",
		Task:  "!archive\npaths: [/srv/none]\ndest: /srv/none.tar\n",
		Probe: "ls /srv/none.tar 2>&1; true", Fails: "/srv/none",
	},
	Case{
		Module: "archive", Name: "reads no more than the user may",
		Before: "chmod 1777 /srv", Login: true,
		Task:  "!archive\npaths: [/etc/shadow]\ndest: /srv/shadow.tar\n",
		Probe: "ls -A /srv | grep shadow; true", Fails: "ermission denied",
	},
)

// unpackCase unpacks what the host's own tools packed.
func unpackCase(name, before, src, want string) Case {
	dest := "/srv/out " + name
	return Case{
		Module: "unpack", Name: "unpacks " + name, Before: packed + " && cd /srv && " + before,
		Task:  "!unpack\nsrc: " + src + "\ndest: '" + dest + "'\nowner: daemon\n",
		Probe: listing("'" + dest + "'"), Want: want, Need: "created",
	}
}

const unpackedTree = "d 755 daemon\nd 755 daemon p\nf 644 daemon p/it's \"a\"\nl 777 daemon p/link sub/-rf\nd 755 daemon p/sub\n" +
	"f 755 daemon p/sub/-rf\nf 644 daemon p/sub/run.log"

// evil writes an archive with one entry as a line of Python says.
func evil(name, line string) string {
	return "python3 - <<'E'\nimport tarfile,io\nt=tarfile.open('" + name + "','w')\ni=tarfile.TarInfo('good'); t.addfile(i)\n" + line + "\nt.addfile(i, io.BytesIO(b'x'*i.size))\nt.close()\nE"
}

func evilCase(what, line, fails string) Case {
	name := "/srv/evil-" + strings.ReplaceAll(what, " ", "-") + ".tar"
	return Case{
		Module: "unpack", Name: "refuses " + what, Before: evil(name, line),
		Task:  "!unpack\nsrc: " + name + "\ndest: /srv/evil\nmax_size: 1MiB\n",
		Probe: "ls -A /srv/evil /srv/escape /escape 2>&1; true", Fails: fails,
	}
}

var _ = add(
	unpackCase("tar", "tar -cf u.tar p", "/srv/u.tar", unpackedTree),
	unpackCase("tar.gz", "tar -czf u.tar.gz p", "/srv/u.tar.gz", unpackedTree),
	unpackCase("tar.bz2", "tar -cjf u.tar.bz2 p", "/srv/u.tar.bz2", unpackedTree),
	unpackCase("tar.xz", "tar -cJf u.tar.xz p", "/srv/u.tar.xz", unpackedTree),
	unpackCase("tar.zst", "tar --zstd -cf u.tar.zst p", "/srv/u.tar.zst", unpackedTree),
	unpackCase("tar in pax", "tar --format=pax -cf u.pax p", "/srv/u.pax", unpackedTree),
	unpackCase("zip", "python3 -c \"import zipfile; zipfile.main(['-c','u.zip','p/sub'])\"", "/srv/u.zip",
		"d 755 daemon\nd 755 daemon sub\nf 755 daemon sub/-rf\nf 644 daemon sub/run.log"),
	unpackCase("gz", "printf one | gzip -c >one.gz", "/srv/one.gz", "d 755 daemon\nf 644 daemon one"),
	unpackCase("bz2", "printf one | bzip2 -c >one.bz2", "/srv/one.bz2", "d 755 daemon\nf 644 daemon one"),
	unpackCase("xz", "printf one | xz -c >one.xz", "/srv/one.xz", "d 755 daemon\nf 644 daemon one"),
	unpackCase("zst", "printf one | zstd -qc >one.zst", "/srv/one.zst", "d 755 daemon\nf 644 daemon one"),
	evilCase("what leads up", "i=tarfile.TarInfo('../escape')", "leads out of dest"),
	evilCase("an absolute path", "i=tarfile.TarInfo('/escape')", "is an absolute path"),
	evilCase("a link out", "i=tarfile.TarInfo('l'); i.type=tarfile.SYMTYPE; i.linkname='../escape'", "leads out of dest"),
	evilCase("a hard link out", "i=tarfile.TarInfo('l'); i.type=tarfile.LNKTYPE; i.linkname='/etc/shadow'", "is an absolute path"),
	evilCase("a device", "i=tarfile.TarInfo('d'); i.type=tarfile.CHRTYPE", "neither a file, a directory nor a link"),
	evilCase("a bomb", "i=tarfile.TarInfo('b'); i.size=2<<20", "it expands to more than max_size allows"),
	Case{
		Module: "unpack", Name: "brings from the runner, without the first part",
		Files: map[string]string{"files/x.tar": tarText("top/bin/tool", "#!/bin/sh\n", "top/LICENSE", "free\n")},
		Task:  "!unpack\nsrc: x.tar\nremote_src: false\ndest: /srv/runner\nstrip: 1\nmode: 0o755\n",
		Probe: listing("/srv/runner"),
		Want:  "d 755 root\nf 755 root LICENSE\nd 755 root bin\nf 755 root bin/tool", Need: "created",
	},
	Case{
		Module: "unpack", Name: "is told that it was done",
		Before: "echo junk >/srv/junk.tar",
		Task:   "!unpack\nsrc: /srv/junk.tar\ndest: /srv/junk\ncreates: /etc/hostname\n",
		Probe:  "ls /srv/junk 2>&1; true", Want: "ls: cannot access '/srv/junk': No such file or directory", Need: "matched",
	},
	Case{
		Module: "unpack", Name: "refuses what is no archive",
		Before: "echo junk >/srv/junk2.tar",
		Task:   "!unpack\nsrc: /srv/junk2.tar\ndest: /srv/junk2\n",
		Probe:  "ls /srv/junk2 2>&1; true", Fails: "it is none of the formats",
	},
)
