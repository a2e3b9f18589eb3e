package modules

import (
	"archive/tar"
	"strings"
)

// tarText is a tar archive of names and contents, in turn.
func tarText(files ...string) string {
	var b strings.Builder
	w := tar.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		err := w.WriteHeader(&tar.Header{Name: files[i], Mode: 0o644, Size: int64(len(files[i+1])), Typeflag: tar.TypeReg})
		if err == nil {
			_, err = w.Write([]byte(files[i+1]))
		}
		if err != nil {
			panic(err)
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.String()
}

var _ = add(
	Case{
		Module: "move", Name: "moves a file with an odd name",
		Before: `mkdir -p /srv/mv && cd /srv/mv && echo 1 >"it's \$(x) \"a\"" && chmod 640 it*`,
		Task:   "!move\nsrc: /srv/mv/it's $(x) \"a\"\ndest: \"/srv/mv/-rf é\"\nowner: daemon\nmode: 0o600\n",
		Probe:  listing("/srv/mv"),
		Want:   "d 755 root\nf 600 daemon -rf é", Need: "created",
	},
	Case{
		Module: "move", Name: "moves a tree to another file system",
		Before: "mkdir -p /run/mv/sub && cd /run/mv && echo 1 >sub/f && chown -R daemon sub && chmod 4750 sub/f && ln -s sub/f l && touch -d @1700000000 sub/f",
		Task:   "!move\nsrc: /run/mv\ndest: /srv/from-run\n",
		Probe:  listing("/srv/from-run") + "; ls -d /run/mv; stat -c %Y /srv/from-run/sub/f; true",
		Want:   "d 755 root\nl 777 root l sub/f\nd 755 daemon sub\nf 4750 daemon sub/f\n1700000000", Need: "created",
	},
	Case{
		Module: "move", Name: "replaces a file on another file system",
		Before: "echo new >/dev/shm/mv && echo old >/srv/mv-shm",
		Task:   "!move\nsrc: /dev/shm/mv\ndest: /srv/mv-shm\nforce: true\n",
		Probe:  "cat /srv/mv-shm; test -e /dev/shm/mv && echo left; ls -A /srv | grep mv-shm",
		Want:   "new\nmv-shm", Need: "modified", Fields: []string{"Content"},
	},
	Case{
		Module: "move", Name: "keeps a backup of a tree",
		Before: "mkdir -p /srv/b/new /srv/b/app && echo new >/srv/b/new/f && echo old >/srv/b/app/f",
		Task:   "!move\nsrc: /srv/b/new\ndest: /srv/b/app\nbackup: true\n",
		Probe:  "cd /srv/b; for f in */f; do echo \"$(echo $f | sed 's/[0-9]\\{8\\}T[0-9]\\{6\\}Z/TIME/') $(cat $f)\"; done",
		Want:   "app.TIME/f old\napp/f new", Need: "modified", Fields: []string{"Content"},
	},
	Case{
		Module: "move", Name: "was moved already",
		Before: "echo x >/srv/moved && chmod 600 /srv/moved",
		Task:   "!move\nsrc: /srv/moved-from\ndest: /srv/moved\nmode: 0o644\n",
		Probe:  "stat -c %a /srv/moved", Want: "644", Need: "modified", Fields: []string{"Mode"},
	},
	Case{
		Module: "move", Name: "replaces nothing unasked",
		Before: "echo a >/srv/mva; echo b >/srv/mvb",
		Task:   "!move\nsrc: /srv/mva\ndest: /srv/mvb\n",
		Probe:  "cat /srv/mva /srv/mvb", Fails: "/srv/mvb exists already; give backup: true",
	},
	Case{
		Module: "move", Name: "needs something to move",
		Task:  "!move\nsrc: /srv/mv-none\ndest: /srv/mv-none2\n",
		Probe: "ls /srv/mv-none2 2>&1; true", Fails: "neither of them exists",
	},
)

// repo makes a repository at /srv/NAME.git with the tag v1, and a second commit.
func repo(name string) string {
	return `set -e; d=/srv/` + name + `.git; w=$(mktemp -d); git init -q -b main --bare $d; cd $w; git init -q -b main
git config user.name t; git config user.email t@example.com
echo one >file; git add .; git commit -q -m one; git tag -a v1 -m v1; echo two >file; git commit -q -a -m two
git push -q --tags $d main; git --git-dir=$d symbolic-ref HEAD refs/heads/main
`
}

// cloned makes a working copy at /srv/NAME as root.
func cloned(name string) string {
	return repo(name) + "git clone -q file:///srv/" + name + ".git /srv/" + name + "\n"
}

// atVersion shows what a working copy is at.
func atVersion(dir string) string {
	return "cd " + dir + ` 2>/dev/null || { echo none; exit 0; }; git -c safe.directory='*' rev-parse --abbrev-ref HEAD; git -c safe.directory='*' log -1 --format=%s;` +
		` cat file; stat -c '%U %a' . file; git -c safe.directory='*' rev-list --count HEAD`
}

var _ = add(
	Case{
		Module: "git", Name: "clones a branch", Before: repo("g1"),
		Task:  "!git\nrepo: file:///srv/g1.git\npath: \"/srv/new/g 'one'\"\nattributes: {owner: daemon, mode: 0o750}\n",
		Probe: atVersion(`"/srv/new/g 'one'"`),
		Want:  "main\ntwo\ntwo\ndaemon 750\ndaemon 644\n2", Need: "created",
	},
	Case{
		Module: "git", Name: "clones a tag, one commit deep", Before: repo("g2"),
		Task:  "!git\nrepo: file:///srv/g2.git\npath: /srv/g2\ntag: v1\ndepth: 1\n",
		Probe: atVersion("/srv/g2"), Want: "HEAD\none\none\nroot 755\nroot 644\n1", Need: "created",
	},
	Case{
		Module: "git", Name: "follows the branch",
		Before: cloned("g3") + "cd /srv/g3; git reset -q --hard HEAD^",
		Task:   "!git\nrepo: file:///srv/g3.git\npath: /srv/g3\n",
		Probe:  atVersion("/srv/g3"), Want: "main\ntwo\ntwo\nroot 755\nroot 644\n2",
		Need: "modified", Fields: []string{"Version"},
	},
	Case{
		Module: "git", Name: "keeps changes of the host",
		Before: cloned("g4") + "cd /srv/g4; git reset -q --hard HEAD^; echo mine >file",
		Task:   "!git\nrepo: file:///srv/g4.git\npath: /srv/g4\n",
		Probe:  atVersion("/srv/g4"), Fails: "files in it were changed; give force: true",
	},
	Case{
		Module: "git", Name: "throws changes away when told to",
		Before: cloned("g5") + "cd /srv/g5; git reset -q --hard HEAD^; echo mine >file; echo own >own",
		Task:   "!git\nrepo: file:///srv/g5.git\npath: /srv/g5\nforce: true\n",
		Probe:  atVersion("/srv/g5") + "; cat own", Want: "main\ntwo\ntwo\nroot 755\nroot 644\n2\nown",
		Need: "modified", Fields: []string{"Version", "Content"},
	},
	Case{
		Module: "git", Name: "comes from elsewhere",
		Before: cloned("g6") + "mv /srv/g6.git /srv/g6-moved.git",
		Task:   "!git\nrepo: file:///srv/g6-moved.git\npath: /srv/g6\n",
		Probe:  "git -C /srv/g6 config remote.origin.url", Want: "file:///srv/g6-moved.git",
		Need: "modified", Fields: []string{"Repo"},
	},
	Case{
		Module: "git", Name: "brings submodules",
		Before: repo("g7sub") + repo("g7") + `git config --system protocol.file.allow always
git submodule --quiet add file:///srv/g7sub.git "a sub"; git commit -q -a -m sub; git push -q /srv/g7.git main`,
		Task:  "!git\nrepo: file:///srv/g7.git\npath: /srv/g7\nsubmodules: true\n",
		Probe: "cat '/srv/g7/a sub/file' 2>/dev/null; true", Want: "two", Need: "created",
	},
	Case{
		Module: "git", Name: "will not use another user's working copy",
		Before: cloned("g8") + "chown -R daemon /srv/g8",
		Task:   "!git\nrepo: file:///srv/g8.git\npath: /srv/g8\n",
		Probe:  atVersion("/srv/g8"), Fails: "/srv/g8 belongs to daemon, and the task runs as root",
	},
	Case{
		Module: "git", Name: "says whose repository git will not use", Login: true,
		Before: repo("g9") + "chmod 1777 /srv",
		Task:   "!git\nrepo: /srv/g9.git\npath: /srv/g9\n",
		Probe:  "ls -d /srv/g9 2>&1; true", Fails: "will not use a repository on the host that belongs to another user",
	},
	Case{
		Module: "git", Name: "runs nothing that is written into an address",
		Task:  "!git\nrepo: \"ext::sh -c touch% /pwned-git\"\npath: /srv/g10\n",
		Probe: "ls -d /pwned-git /srv/g10 2>&1; true", Fails: "transport 'ext' not allowed",
	},
	Case{
		Module: "git", Name: "has no such branch", Before: repo("g11"),
		Task:  "!git\nrepo: file:///srv/g11.git\npath: /srv/g11\nbranch: none\n",
		Probe: "ls -d /srv/g11 2>&1; true", Fails: `the remote has no branch called "none"`,
	},
)
