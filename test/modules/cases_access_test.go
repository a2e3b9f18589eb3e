package modules

// passwd prints an account as the cases of user want it: its line, and the names of
// its groups.
func passwd(name string) string {
	return "getent passwd " + name + " || echo none\nid -Gn " + name + " 2>/dev/null || true"
}

var _ = add(
	Case{
		Module: "user", Name: "creates an account",
		Task: "!user\nuser: ada\nuid: 4101\n",
		Probe: passwd("ada") + `
stat -c '%U:%G %F' /home/ada 2>/dev/null || echo no home`,
		Want: "ada:x:4101:4101::/home/ada:/bin/sh\nada\nada:ada directory",
		Need: "created",
	},
	Case{
		Module: "user", Name: "creates an account with all that there is to say",
		Before: "groupadd -g 4111 bobs && groupadd bob1 && groupadd bob2",
		Task: `!user
user: bob
uid: 4110
gid: bobs
groups: [bob2, bob1]
gecos: "Bob \"the\" O'Brian, $(touch /tmp/bob) ünïcode"
home: /srv/home of 'bob'
shell: /bin/bash
`,
		Probe: passwd("bob") + "\nstat -c '%U:%G' \"/srv/home of 'bob'\" || true; ls /tmp/bob 2>&1 || true",
		Want: "bob:x:4110:4111:Bob \"the\" O'Brian, $(touch /tmp/bob) ünïcode:/srv/home of 'bob':/bin/bash\n" +
			"bobs bob1 bob2\nbob:bobs\nls: cannot access '/tmp/bob': No such file or directory",
		Need: "created",
	},
	Case{
		Module: "user", Name: "creates an account of the system without a home",
		Task:  "!user\nuser: svc-one\nsystem: true\ncreate_home: false\nhome: /nonexistent/svc\nshell: /usr/sbin/nologin\n",
		Probe: "test \"$(id -u svc-one 2>/dev/null || echo 9999)\" -lt 1000 && getent passwd svc-one | cut -d: -f6-; ls -d /nonexistent 2>/dev/null || echo no home",
		Want:  "/nonexistent/svc:/usr/sbin/nologin\nno home",
		Need:  "created",
	},
	Case{
		Module: "user", Name: "creates an account in a group that exists",
		Before: "groupadd -g 4121 carols",
		Task:   "!user\nuser: carol\nuid: 4120\ngid: \"4121\"\ncreate_home: false\n",
		Probe:  passwd("carol"),
		Want:   "carol:x:4120:4121::/home/carol:/bin/sh\ncarols",
		Need:   "created",
	},
	Case{
		Module: "user", Name: "changes everything",
		Before: "groupadd -g 4131 daves && groupadd dave1 && groupadd dave2 && useradd -m -u 4130 -G dave1 -c old dave",
		Task:   "!user\nuser: dave\nuid: 4132\ngid: daves\ngroups: [dave2]\ngecos: new\nhome: /srv/dave\nshell: /bin/bash\n",
		Probe:  passwd("dave"),
		Want:   "dave:x:4132:4131:new:/srv/dave:/bin/bash\ndaves dave2",
		Need:   "modified", Fields: []string{"Uid", "Gid", "Gecos", "Home", "Shell", "Groups"},
	},
	Case{
		Module: "user", Name: "empties the full name",
		Before: "useradd -M -u 4135 -c something dana",
		Task:   "!user\nuser: dana\ngecos: \"\"\n",
		Probe:  passwd("dana"),
		Want:   "dana:x:4135:4135::/home/dana:/bin/sh\ndana",
		Need:   "modified", Fields: []string{"Gecos"},
	},
	Case{
		Module: "user", Name: "changes the number alone",
		Before: "useradd -M -u 4136 dean",
		Task:   "!user\nuser: dean\nuid: 4137\n",
		Probe:  passwd("dean"),
		Want:   "dean:x:4137:4136::/home/dean:/bin/sh\ndean",
		Need:   "modified", Fields: []string{"Uid"},
	},
	Case{
		Module: "user", Name: "adds groups",
		Before: "groupadd erin1 && groupadd erin2 && groupadd erin3 && useradd -M -u 4140 -G erin1,erin2 erin",
		Task:   "!user\nuser: erin\ngroups: [erin3, erin2]\nappend: true\n",
		Probe:  passwd("erin"),
		Want:   "erin:x:4140:4140::/home/erin:/bin/sh\nerin erin1 erin2 erin3",
		Need:   "modified", Fields: []string{"Groups"},
	},
	Case{
		Module: "user", Name: "takes all groups away",
		Before: "groupadd frank1 && useradd -M -u 4150 -G frank1 frank",
		Task:   "!user\nuser: frank\ngroups: []\n",
		Probe:  passwd("frank"),
		Want:   "frank:x:4150:4150::/home/frank:/bin/sh\nfrank",
		Need:   "modified", Fields: []string{"Groups"},
	},
	Case{
		Module: "user", Name: "leaves alone what is as asked",
		Before: "groupadd grace1 && useradd -m -u 4160 -G grace1 -c Grace -s /bin/bash grace",
		Task:   "!user\nuser: grace\nuid: 4160\ngid: \"4160\"\ngroups: [grace1, grace]\ngecos: Grace\nhome: /home/grace/\nshell: /bin/bash\nsystem: true\ncreate_home: false\n",
		Probe:  passwd("grace"),
		Want:   "grace:x:4160:4160:Grace:/home/grace:/bin/bash\ngrace grace1",
		Need:   "matched",
	},
	Case{
		Module: "user", Name: "removes an account and leaves its home",
		Before: "useradd -m heidi",
		Task:   "!user\nuser: heidi\nremove: true\n",
		Probe:  "getent passwd heidi || echo none; ls -d /home/heidi",
		Want:   "none\n/home/heidi",
		Need:   "removed",
	},
	Case{
		Module: "user", Name: "removes an account with its home",
		Before: "useradd -m ivan && touch /var/mail/ivan && chown ivan:mail /var/mail/ivan",
		Task:   "!user\nuser: ivan\nremove: true\ncleanup: true\n",
		Probe:  "getent passwd ivan || echo none; ls -d /home/ivan /var/mail/ivan 2>/dev/null || echo gone",
		Want:   "none\ngone",
		Need:   "removed",
	},
	Case{
		Module: "user", Name: "removes an account whose home is gone",
		Before: "useradd -M judy",
		Task:   "!user\nuser: judy\nremove: true\ncleanup: true\n",
		Probe:  "getent passwd judy || echo none",
		Want:   "none",
		Need:   "removed",
	},
	Case{
		Module: "user", Name: "has nothing to remove",
		Task:  "!user\nuser: nobody-at-all\nremove: true\n",
		Probe: "getent passwd nobody-at-all || echo none",
		Want:  "none",
		Need:  "matched",
	},
	Case{
		Module: "user", Name: "refuses a group that is not there",
		Task:  "!user\nuser: kim\ngroups: [no-such-group]\n",
		Probe: "getent passwd kim || echo none",
		Fails: "group 'no-such-group' does not exist",
	},
	Case{
		Module: "user", Name: "refuses a number that is taken",
		Task:  "!user\nuser: kim2\nuid: 1000\n",
		Probe: "getent passwd kim2 || echo none",
		Fails: "UID 1000 is not unique",
	},
	Case{
		Module: "user", Name: "refuses a name that is none",
		Task:  "!user\nuser: \"a b\"\n",
		Probe: "getent passwd 'a b' || echo none",
		Fails: `"a b" is no name of a user or group`,
	},
	Case{
		Module: "user", Name: "refuses a name that comes from a variable",
		Vars:  "name: --root=/tmp\n",
		Task:  "!user\nuser: \"{{name}}\"\n",
		Probe: "md5sum /etc/passwd",
		Fails: `"--root=/tmp" is no name of a user or group`,
	},
	Case{
		Module: "user", Name: "refuses a second line of the account",
		Vars:  "full: \"x\\nroot2:x:0:0::/:/bin/sh\"\n",
		Task:  "!user\nuser: ops\ngecos: \"{{full}}\"\n",
		Probe: "md5sum /etc/passwd",
		Fails: "must be one line of text without a colon",
	},
	Case{
		Module: "user", Name: "refuses what a terminal would obey",
		Vars:  "full: \"\\e]0;x\\a\"\n",
		Task:  "!user\nuser: ops\ngecos: \"{{full}}\"\n",
		Probe: "md5sum /etc/passwd",
		Fails: "without a colon or a control character",
	},
	Case{
		Module: "user", Name: "refuses a home that would be another field",
		Vars:  "home: \"/home/x:/bin/false\"\n",
		Task:  "!user\nuser: kim3\nhome: \"{{home}}\"\n",
		Probe: "getent passwd kim3 || echo none",
		Fails: "holds a colon",
	},
	Case{
		Module: "user", Name: "refuses to clean up after nothing",
		Task:  "!user\nuser: ops\ncleanup: true\n",
		Probe: "md5sum /etc/passwd",
		Fails: "cleanup goes with remove only",
	},
)

// members prints a group's number and members.
func members(name string) string { return "getent group " + name + " || echo none" }

var _ = add(
	Case{
		Module: "group", Name: "creates a group",
		Task:  "!group\ngroup: g-one\ngid: 4301\n",
		Probe: members("g-one"),
		Want:  "g-one:x:4301:",
		Need:  "created",
	},
	Case{
		Module: "group", Name: "creates a group of the system",
		Task:  "!group\ngroup: g-sys\nsystem: true\n",
		Probe: "gid=$(getent group g-sys | cut -d: -f3); test ${gid:-9999} -lt 1000 && echo low || echo high",
		Want:  "low",
		Need:  "created",
	},
	Case{
		Module: "group", Name: "creates a group with members",
		Task:  "!group\ngroup: g-two\ngid: 4302\nusers: [plain, ops]\n",
		Probe: members("g-two"),
		Want:  "g-two:x:4302:ops,plain",
		Need:  "created",
	},
	Case{
		Module: "group", Name: "changes number and members",
		Before: "groupadd -g 4303 g-three && gpasswd -M ops g-three",
		Task:   "!group\ngroup: g-three\ngid: 4304\nusers: [plain]\n",
		Probe:  members("g-three"),
		Want:   "g-three:x:4304:plain",
		Need:   "modified", Fields: []string{"Gid", "Users"},
	},
	Case{
		Module: "group", Name: "adds a member",
		Before: "groupadd -g 4305 g-four && gpasswd -M ops g-four",
		Task:   "!group\ngroup: g-four\nusers: [plain]\nappend: true\n",
		Probe:  members("g-four"),
		Want:   "g-four:x:4305:ops,plain",
		Need:   "modified", Fields: []string{"Users"},
	},
	Case{
		Module: "group", Name: "takes all members away",
		Before: "groupadd -g 4306 g-five && gpasswd -M ops,plain g-five",
		Task:   "!group\ngroup: g-five\nusers: []\n",
		Probe:  members("g-five"),
		Want:   "g-five:x:4306:",
		Need:   "modified", Fields: []string{"Users"},
	},
	Case{
		Module: "group", Name: "leaves alone what is as asked, in any order",
		Before: "groupadd -g 4307 g-six && gpasswd -M plain,ops g-six",
		Task:   "!group\ngroup: g-six\ngid: 4307\nusers: [ops, plain, ops]\n",
		Probe:  members("g-six"),
		Want:   "g-six:x:4307:plain,ops",
		Need:   "matched",
	},
	Case{
		Module: "group", Name: "leaves a group without members alone",
		Before: "groupadd -g 4308 g-empty",
		Task:   "!group\ngroup: g-empty\nusers: []\n",
		Probe:  members("g-empty"),
		Want:   "g-empty:x:4308:",
		Need:   "matched",
	},
	Case{
		Module: "group", Name: "removes a group",
		Before: "groupadd g-seven",
		Task:   "!group\ngroup: g-seven\nremove: true\n",
		Probe:  members("g-seven"),
		Want:   "none",
		Need:   "removed",
	},
	Case{
		Module: "group", Name: "has nothing to remove",
		Task:  "!group\ngroup: no-such-group\nremove: true\n",
		Probe: members("no-such-group"),
		Want:  "none",
		Need:  "matched",
	},
	Case{
		Module: "group", Name: "refuses to remove a user's own group",
		Task:  "!group\ngroup: plain\nremove: true\n",
		Probe: members("plain"),
		Fails: "cannot remove the primary group of user 'plain'",
	},
	Case{
		Module: "group", Name: "refuses members that are not there",
		Task:  "!group\ngroup: g-eight\nusers: [ops, no-such-user]\n",
		Probe: members("g-eight"),
		Fails: "there is no user no-such-user",
	},
	Case{
		Module: "group", Name: "refuses to add what is not there",
		Before: "groupadd -g 4309 g-nine",
		Task:   "!group\ngroup: g-nine\ngid: 4310\nusers: [ops, no-such-user]\nappend: true\n",
		Probe:  members("g-nine"),
		Fails:  "there is no user no-such-user",
	},
	Case{
		Module: "group", Name: "refuses a number that is taken",
		Task:  "!group\ngroup: g-ten\ngid: 1000\n",
		Probe: members("g-ten"),
		Fails: "GID '1000' already exists",
	},
	Case{
		Module: "group", Name: "refuses a name that is none",
		Vars:  "name: \"x; touch /tmp/group\"\n",
		Task:  "!group\ngroup: \"{{name}}\"\n",
		Probe: "md5sum /etc/group; ls /tmp/group 2>/dev/null || echo none",
		Fails: "is no name of a user or group",
	},
)
