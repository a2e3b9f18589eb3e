package modules

// What the cases look at on the host.
const (
	catCron    = `cat "/etc/cron.d/jet-case" && stat -c '%a %U %G' /etc/cron.d/jet-case; ls /tmp/pwned 2>/dev/null || true`
	catCrontab = `crontab -u plain -l 2>&1; ls /tmp/pwned 2>/dev/null || true`
	showMount  = `grep /mnt/case /etc/fstab; findmnt -rn -o TARGET,FSTYPE,VFS-OPTIONS | grep /mnt/case || true`
	noMount    = `umount /mnt/case* 2>/dev/null; sed -i '\,/mnt/case,d' /etc/fstab; `
	showNft    = `nft list table inet jet 2>/dev/null | grep jet:; ls /etc/nftables.d 2>/dev/null; grep -c jet.nft /etc/nftables.conf || true`
	noNft      = `ufw --force disable >/dev/null; nft delete table inet jet 2>/dev/null; rm -rf /etc/nftables.d; sed -i '/jet.nft/d' /etc/nftables.conf; `
	addNft     = noNft + `mkdir /etc/nftables.d; printf '\ninclude "/etc/nftables.d/jet.nft"\n' >>/etc/nftables.conf; `
	showUFW    = `ufw show added | grep ^ufw; ufw status | head -1; grep INPUT_POLICY /etc/default/ufw`
	stopUFW    = `ufw --force reset >/dev/null; sed -i 's/=.REJECT./="DROP"/' /etc/default/ufw; `
	startUFW   = stopUFW + `ufw allow 22/tcp >/dev/null; ufw --force enable >/dev/null; `
	showName   = `cat /etc/hostname; uname -n; grep ^127 /etc/hosts`
	showZone   = `readlink /etc/localtime; cat /etc/timezone; date +%Z`
)

var _ = add(
	Case{
		Module: "cron", Name: "makes a file",
		Before: "rm -f /etc/cron.d/jet-case",
		Task: "!cron\nentry: jet-case\nuser: root\nminute: '*/5'\nhour: 1-5,22\nweekday: mon-fri\n" +
			"environment: {PATH: /usr/bin, WHAT: 'say \"hi\" '}\ncommand: date +%F >>\"/var/log/it's $(touch /tmp/pwned)\"\n",
		Probe: catCron,
		Want: `PATH="/usr/bin"
WHAT='say "hi" '
*/5 1-5,22 * * mon-fri root date +\%F >>"/var/log/it's $(touch /tmp/pwned)"
644 root root`,
		Need: "created", Diff: []string{`+PATH="/usr/bin"`},
	},
	Case{
		Module: "cron", Name: "changes a schedule",
		Before: "echo '@daily root true' >/etc/cron.d/jet-case; chmod 644 /etc/cron.d/jet-case",
		Task:   "!cron {entry: jet-case, user: root, special: hourly, command: 'true'}",
		Probe:  catCron, Want: "@hourly root true\n644 root root",
		Need: "modified", Fields: []string{"Content"}, Diff: []string{"-@daily root true", "+@hourly root true"},
	},
	Case{
		Module: "cron", Name: "mends what cron would pass over",
		Before: "echo '@hourly root true' >/etc/cron.d/jet-case; chmod 666 /etc/cron.d/jet-case; chown plain /etc/cron.d/jet-case",
		Task:   "!cron {entry: jet-case, user: root, special: hourly, command: 'true'}",
		Probe:  catCron, Want: "@hourly root true\n644 root root",
		Need: "modified", Fields: []string{"Mode", "Owner"},
	},
	Case{
		Module: "cron", Name: "finds a file as asked",
		Before: "echo '0 0 * * * root true' >/etc/cron.d/jet-case; chmod 644 /etc/cron.d/jet-case; chown root /etc/cron.d/jet-case",
		Task:   "!cron {entry: jet-case, user: root, minute: 0, hour: 0, command: 'true'}",
		Probe:  catCron, Want: "0 0 * * * root true\n644 root root",
		Need: "matched",
	},
	Case{
		Module: "cron", Name: "removes a file",
		Before: "echo '@hourly root true' >/etc/cron.d/jet-case",
		Task:   "!cron {entry: jet-case, remove: true}",
		Probe:  "ls /etc/cron.d/jet-case 2>&1 || true", Want: "ls: cannot access '/etc/cron.d/jet-case': No such file or directory",
		Need: "removed", Diff: []string{"-@hourly root true"},
	},
	Case{
		Module: "cron", Name: "has nothing to remove",
		Before: "rm -f /etc/cron.d/jet-case",
		Task:   "!cron {entry: jet-case, remove: true}",
		Probe:  "ls /etc/cron.d", Want: "e2scrub_all", Need: "matched",
	},
	Case{
		Module: "cron", Name: "refuses a second line", Before: "rm -f /etc/cron.d/jet-case",
		Task:  "!cron {entry: jet-case, user: root, special: daily, command: \"true\\n* * * * * root touch /tmp/pwned\"}",
		Probe: "ls /etc/cron.d /tmp", Fails: "command must be one line of text",
	},
	Case{
		Module: "cron", Name: "refuses a time that is none",
		Task:  "!cron {entry: jet-case, user: root, minute: 60, command: 'true'}",
		Probe: "ls /etc/cron.d", Fails: `minute "60" is no time for cron`,
	},
	Case{
		Module: "cron", Name: "refuses a user that is none", Before: "rm -f /etc/cron.d/jet-case",
		Task:  "!cron {entry: jet-case, user: nobody-here, special: daily, command: 'true'}",
		Probe: "ls /etc/cron.d", Fails: "the host has no user nobody-here",
	},
	Case{
		Module: "cron", Name: "refuses a name that cron passes over",
		Task:  "!cron {entry: ../jet.case, user: root, special: daily, command: 'true'}",
		Probe: "ls /etc/cron.d /etc", Fails: "cannot name a file in /etc/cron.d",
	},
	Case{
		Module: "cron", Name: "adds to a crontab",
		Before: "printf '# mine\\n@daily true\\n' | crontab -u plain -",
		Task: "!cron\nentry: it's \"$(touch /tmp/pwned)\" \U0001f60a\nuser: plain\nuser_crontab: true\nminute: 5\n" +
			"command: echo 'a % b' \"$(date +%s)\"\n",
		Probe: catCrontab,
		Want: "# mine\n@daily true\n# jet: it's \"$(touch /tmp/pwned)\" \U0001f60a\n" +
			`5 * * * * echo 'a \% b' "$(date +\%s)"`,
		Need: "created", Diff: []string{`+5 * * * * echo 'a \% b' "$(date +\%s)"`},
	},
	Case{
		Module: "cron", Name: "changes an entry of a crontab",
		Before: "printf '# jet: a\\n@daily true\\n# jet: b\\n@weekly true\\n' | crontab -u plain -",
		Task:   "!cron {entry: a, user: plain, user_crontab: true, special: reboot, command: 'false'}",
		Probe:  catCrontab, Want: "# jet: a\n@reboot false\n# jet: b\n@weekly true",
		Need: "modified", Fields: []string{"Content"}, Diff: []string{"-@daily true", "+@reboot false"},
	},
	Case{
		Module: "cron", Name: "takes an entry out of a crontab",
		Before: "printf '# jet: a\\n@daily true\\n# jet: b\\n@weekly true\\n' | crontab -u plain -",
		Task:   "!cron {entry: b, user: plain, user_crontab: true, remove: true}",
		Probe:  catCrontab, Want: "# jet: a\n@daily true", Need: "removed",
	},
	Case{
		Module: "cron", Name: "takes the last entry out of the login user's crontab", Login: true,
		Before: "printf '# jet: a\\n@daily true\\n' | crontab -u ops -",
		Task:   "!cron {entry: a, user_crontab: true, remove: true}",
		Probe:  "crontab -u ops -l 2>&1 || true", Want: "no crontab for ops", Need: "removed",
	},
	Case{
		Module: "cron", Name: "starts a crontab", Login: true,
		Before: "crontab -u ops -r 2>/dev/null || true",
		Task:   "!cron {entry: a, user_crontab: true, special: daily, command: 'true'}",
		Probe:  "crontab -u ops -l 2>&1 || true", Want: "# jet: a\n@daily true", Need: "created",
	},

	Case{
		Module: "mount", Name: "mounts a tmpfs at a name with blanks", Before: noMount + `rmdir '/mnt/case it'*; true`,
		Task:  "!mount\npath: /mnt/case it's \"here\" $(x)\nsource: tmpfs\nfstype: tmpfs\noptions: [size=1m, nosuid, mode=0750]\n",
		Probe: showMount + `; stat -c %a /mnt/case\ *; df --output=size /mnt/case\ * | tail -1`,
		Want: "tmpfs\t" + `/mnt/case\040it's\040"here"\040$(x)` + "\ttmpfs\tsize=1m,nosuid,mode=0750\t0\t0\n" +
			`/mnt/case\x20it's\x20"here"\x20$(x) tmpfs rw,nosuid,relatime` + "\n750\n     1024",
		Need: "created", Diff: []string{"+tmpfs\t" + `/mnt/case\040it's\040"here"\040$(x)` + "\ttmpfs\tsize=1m,nosuid,mode=0750\t0\t0"},
	},
	Case{
		Module: "mount", Name: "shows a directory elsewhere, read-only", Before: noMount + `mkdir -p "/srv/a b"; echo hi >"/srv/a b/f"`,
		Task:  "!mount {path: /mnt/case2, source: /srv/a b, fstype: none, options: [bind, ro]}",
		Probe: showMount + `; cat /mnt/case2/f 2>&- || true`,
		Want:  `/srv/a\040b` + "\t/mnt/case2\tnone\tbind,ro\t0\t0\n/mnt/case2 overlay ro,relatime\nhi",
		Need:  "created",
	},
	Case{
		Module: "mount", Name: "mounts another source", Before: noMount + `mkdir -p /srv/a /srv/b /mnt/case2; touch /srv/b/f
			echo '/srv/a /mnt/case2 none bind 0 0' >>/etc/fstab; mount /mnt/case2`,
		Task:  "!mount {path: /mnt/case2, source: /srv/b, fstype: none, options: [bind]}",
		Probe: showMount + `; ls /mnt/case2`,
		Want:  "/srv/b\t/mnt/case2\tnone\tbind\t0\t0\n/mnt/case2 overlay rw,relatime\nf",
		Need:  "modified", Fields: []string{"Unmount", "Entry", "Mount"},
	},
	Case{
		Module: "mount", Name: "remounts with other options", Before: noMount + `mkdir -p /mnt/case3
			echo 'tmpfs /mnt/case3 tmpfs size=1m 0 0' >>/etc/fstab; mount /mnt/case3; touch /mnt/case3/kept`,
		Task:  "!mount {path: /mnt/case3, source: tmpfs, fstype: tmpfs, options: [size=2m, noexec]}",
		Probe: showMount + `; ls /mnt/case3; df --output=size /mnt/case3 | tail -1`,
		Want:  "tmpfs\t/mnt/case3\ttmpfs\tsize=2m,noexec\t0\t0\n/mnt/case3 tmpfs rw,noexec,relatime\nkept\n     2048",
		Need:  "modified", Fields: []string{"Entry", "Remount"}, Diff: []string{"-tmpfs /mnt/case3 tmpfs size=1m 0 0"},
	},
	Case{
		Module: "mount", Name: "remounts what was mounted by hand", Before: noMount + `mkdir -p /mnt/case3
			echo 'tmpfs /mnt/case3 tmpfs nosuid 0 0' >>/etc/fstab; mount -t tmpfs -o suid tmpfs /mnt/case3`,
		Task:  "!mount {path: /mnt/case3, source: tmpfs, fstype: tmpfs, options: [nosuid]}",
		Probe: showMount,
		Want:  "tmpfs /mnt/case3 tmpfs nosuid 0 0\n/mnt/case3 tmpfs rw,nosuid,relatime",
		Need:  "modified", Fields: []string{"Remount"},
	},
	Case{
		Module: "mount", Name: "makes a bind mount writable again", Before: noMount + `mkdir -p /srv/a /mnt/case3
			echo '/srv/a /mnt/case3 none bind,ro 0 0' >>/etc/fstab; mount /mnt/case3`,
		Task:  "!mount {path: /mnt/case3, source: /srv/a, fstype: none, options: [bind, rw]}",
		Probe: showMount,
		Want:  "/srv/a\t/mnt/case3\tnone\tbind,rw\t0\t0\n/mnt/case3 overlay rw,relatime",
		Need:  "modified", Fields: []string{"Entry", "Remount"},
	},
	Case{
		Module: "mount", Name: "adopts what is mounted", Before: noMount + `mkdir -p /mnt/case3; mount -t tmpfs tmpfs /mnt/case3`,
		Task: "!mount {path: /mnt/case3, source: tmpfs, fstype: tmpfs, dump: 1, pass: 2}", Probe: showMount,
		Want: "tmpfs\t/mnt/case3\ttmpfs\tdefaults\t1\t2\n/mnt/case3 tmpfs rw,relatime",
		Need: "modified", Fields: []string{"Entry"},
	},
	Case{
		Module: "mount", Name: "finds it mounted through a link", Before: noMount + `mkdir -p /mnt/case3; ln -sfn case3 /mnt/link
			echo 'tmpfs /mnt/link tmpfs defaults 0 0' >>/etc/fstab; mount /mnt/link`,
		Task: "!mount {path: /mnt/link, source: tmpfs, fstype: tmpfs}", Probe: showMount,
		Want: "/mnt/case3 tmpfs rw,relatime", Need: "matched",
	},
	Case{
		Module: "mount", Name: "unmounts and keeps the entry", Before: noMount + `sed -i /link/d /etc/fstab; mkdir -p /mnt/case3
			echo 'tmpfs /mnt/case3 tmpfs defaults 0 0' >>/etc/fstab; mount /mnt/case3; mount /mnt/case3`,
		Task: "!mount {path: /mnt/case3, source: tmpfs, fstype: tmpfs, mounted: false}", Probe: showMount,
		Want: "tmpfs /mnt/case3 tmpfs defaults 0 0", Need: "modified", Fields: []string{"Unmount"},
	},
	Case{
		Module: "mount", Name: "only makes an entry", Before: noMount + `sed -i '$s/$/\n# no end/; $!b' /etc/fstab`,
		Task:  "!mount {path: /mnt/case4, source: UUID=0-1, fstype: ext4, options: [noauto], mounted: false}",
		Probe: showMount, Want: "UUID=0-1\t/mnt/case4\text4\tnoauto\t0\t0", Need: "created",
	},
	Case{
		Module: "mount", Name: "removes", Before: noMount + `mkdir -p /mnt/case5
			echo 'tmpfs /mnt/case5 tmpfs defaults 0 0' >>/etc/fstab; mount /mnt/case5`,
		Task: "!mount {path: /mnt/case5, remove: true}", Probe: showMount,
		Want: "", Need: "removed", Diff: []string{"-tmpfs /mnt/case5 tmpfs defaults 0 0"},
	},
	Case{
		Module: "mount", Name: "has nothing to remove", Before: noMount,
		Task: "!mount {path: /mnt/case5, remove: true}", Probe: showMount, Want: "", Need: "matched",
	},
	Case{
		Module: "mount", Name: "puts the table back when it cannot mount", Before: noMount + "rm -rf /mnt/case6; mkdir /mnt/case6",
		Task:  "!mount {path: /mnt/case6, source: /dev/none, fstype: ext4}",
		Probe: showMount + "; ls -d /mnt/case*", Fails: "/dev/none",
		Unwatched: []string{"/etc/fstab"}, // it was written, and put back
	},
	Case{
		Module: "mount", Name: "keeps the root mounted",
		Task: "!mount {path: /, remove: true}", Probe: showMount, Fails: "the root file system / cannot be unmounted",
	},
	Case{
		Module: "mount", Name: "refuses two options in one",
		Task:  "!mount {path: /mnt/case6, source: tmpfs, fstype: tmpfs, options: ['ro,noexec']}",
		Probe: showMount, Fails: "without a comma",
	},
	Case{
		Module: "mount", Name: "makes an entry for swap space", Before: `sed -i /swap/d /etc/fstab`,
		Task:  "!mount {source: /swap file, fstype: swap, mounted: false}",
		Probe: "grep swap /etc/fstab || true", Want: `/swap\040file` + "\tnone\tswap\tdefaults\t0\t0", Need: "created",
	},
)

var _ = add(
	Case{
		Module: "sysctl", Name: "sets now and at boot", Before: "rm -f /etc/sysctl.d/90-jet.conf; sysctl -qw net.ipv4.conf.all.log_martians=0",
		Task:  "!sysctl {key: net.ipv4.conf.all.log_martians, value: 1}",
		Probe: "cat /proc/sys/net/ipv4/conf/all/log_martians /etc/sysctl.d/90-jet.conf 2>/dev/null || true",
		Want:  "1\nnet.ipv4.conf.all.log_martians = 1",
		Need:  "modified", Fields: []string{"Value", "Content"}, Diff: []string{"+net.ipv4.conf.all.log_martians = 1"},
	},
	Case{
		Module: "sysctl", Name: "sets several numbers", Before: "printf '# ours\\nnet/ipv4/ip_local_port_range=1 2\\na=b' >/etc/sysctl.d/x.conf",
		Task:  "!sysctl {key: net.ipv4.ip_local_port_range, value: '30000 50000', file: /etc/sysctl.d/x.conf}",
		Probe: "cat /proc/sys/net/ipv4/ip_local_port_range /etc/sysctl.d/x.conf",
		Want:  "30000\t50000\n# ours\nnet.ipv4.ip_local_port_range = 30000 50000\na=b",
		Need:  "modified", Fields: []string{"Value", "Content"},
	},
	Case{
		Module: "sysctl", Name: "finds it as asked", Before: "sysctl -qw net.ipv4.conf.all.log_martians=1; echo net.ipv4.conf.all.log_martians=1 >/etc/sysctl.d/90-jet.conf",
		Task:  "!sysctl {key: net/ipv4/conf/all/log_martians, value: 1}",
		Probe: "cat /etc/sysctl.d/90-jet.conf", Want: "net.ipv4.conf.all.log_martians=1", Need: "matched",
	},
	Case{
		Module: "sysctl", Name: "sets only now", Before: "rm -f /etc/sysctl.d/90-jet.conf; sysctl -qw net.ipv4.conf.all.log_martians=1",
		Task:  "!sysctl {key: net.ipv4.conf.all.log_martians, value: 0, persist: false}",
		Probe: "cat /proc/sys/net/ipv4/conf/all/log_martians; ls /etc/sysctl.d/90-jet.conf 2>/dev/null || true", Want: "0",
		Need: "modified", Fields: []string{"Value"},
	},
	Case{
		Module: "sysctl", Name: "sets only at boot", Before: "rm -f /etc/sysctl.d/90-jet.conf",
		Task:  "!sysctl {key: net.nothing.here, value: \"$(touch /tmp/pwned) 'x' \\\"y\\\" ; # z\", now: false}",
		Probe: "cat /etc/sysctl.d/90-jet.conf 2>/dev/null; ls /tmp/pwned 2>/dev/null || true", Want: `net.nothing.here = $(touch /tmp/pwned) 'x' "y" ; # z`,
		Need: "modified", Fields: []string{"Content"},
	},
	Case{
		Module: "sysctl", Name: "removes", Before: "printf 'a.b = 1\\nc.d = 2\\na/b=3\\n' >/etc/sysctl.d/90-jet.conf",
		Task:  "!sysctl {key: a.b, remove: true}",
		Probe: "cat /etc/sysctl.d/90-jet.conf", Want: "c.d = 2", Need: "removed", Diff: []string{"-a.b = 1"},
	},
	Case{
		Module: "sysctl", Name: "refuses what the kernel does not know", Before: "rm -f /etc/sysctl.d/90-jet.conf",
		Task:  "!sysctl {key: net.nothing.here, value: 1}",
		Probe: "ls /etc/sysctl.d", Fails: "the kernel of the host has no setting net.nothing.here",
	},
	Case{
		Module: "sysctl", Name: "refuses what the kernel refuses", Before: "rm -f /etc/sysctl.d/90-jet.conf",
		Task:  "!sysctl {key: net.ipv4.conf.all.log_martians, value: much}",
		Probe: "ls /etc/sysctl.d", Fails: "Invalid argument",
	},
	Case{
		Module: "sysctl", Name: "refuses a way out of /proc/sys",
		Task: "!sysctl {key: net/../../etc/passwd, value: 1}", Probe: "ls /etc/sysctl.d", Fails: "must be the name of a setting",
	},

	Case{
		Module: "hostname", Name: "names a host and its address", Alone: true,
		Task: "!hostname {hostname: web-1.example.com, hosts: true}", Probe: showName,
		Want: "web-1.example.com\nweb-1.example.com\n127.0.0.1\tlocalhost\n127.0.1.1\tweb-1.example.com web-1",
		Need: "modified", Fields: []string{"Static", "Running", "Hosts"}, Diff: []string{"+web-1.example.com", "+127.0.1.1\tweb-1.example.com web-1"},
	},
	Case{
		Module: "hostname", Name: "replaces a name", Alone: true,
		Before: "echo db >/etc/hostname; hostname db; printf '127.0.1.1 db # old\\n127.0.0.1 localhost\\n' >/etc/hosts",
		Task:   "!hostname {hostname: web, hosts: true}", Probe: showName,
		Want: "web\nweb\n127.0.1.1\tweb\n127.0.0.1 localhost",
		Need: "modified", Fields: []string{"Static", "Running", "Hosts"}, Diff: []string{"-db", "+web"},
	},
	Case{
		Module: "hostname", Name: "finds it as asked",
		Before: "cat /proc/sys/kernel/hostname >/etc/hostname",
		Task:   "!hostname {hostname: host1}", Probe: "cat /etc/hostname; uname -n", Want: "host1\nhost1", Need: "matched",
	},
	Case{
		Module: "hostname", Name: "refuses what is no name",
		Task: "!hostname {hostname: -web}", Probe: showName, Fails: "must be the name of a host",
	},

	Case{
		Module: "timezone", Name: "sets a zone", Before: "ln -sfn /usr/share/zoneinfo/Etc/UTC /etc/localtime; echo Etc/UTC >/etc/timezone",
		Task: "!timezone {timezone: Asia/Tokyo}", Probe: showZone, Want: "/usr/share/zoneinfo/Asia/Tokyo\nAsia/Tokyo\nJST",
		Need: "modified", Fields: []string{"Link", "Content"}, Diff: []string{"-Etc/UTC", "+Asia/Tokyo"},
	},
	Case{
		Module: "timezone", Name: "takes the place of a copy, without /etc/timezone",
		Before: "rm -f /etc/localtime /etc/timezone; cp /usr/share/zoneinfo/Etc/UTC /etc/localtime",
		Task:   "!timezone {timezone: Asia/Tokyo}", Probe: "readlink /etc/localtime; ls /etc/timezone 2>/dev/null || true",
		Want: "/usr/share/zoneinfo/Asia/Tokyo", Need: "modified", Fields: []string{"Link"},
	},
	Case{
		Module: "timezone", Name: "finds a relative link", Before: "ln -sfn ../usr/share/zoneinfo/Etc/UTC /etc/localtime; echo Etc/UTC >/etc/timezone",
		Task: "!timezone {timezone: Etc/UTC}", Probe: showZone, Want: "../usr/share/zoneinfo/Etc/UTC\nEtc/UTC\nUTC", Need: "matched",
	},
	Case{
		Module: "timezone", Name: "refuses a zone that is none",
		Task: "!timezone {timezone: Mars/Olympus}", Probe: showZone, Fails: "the host has no time zone Mars/Olympus",
	},
	Case{
		Module: "timezone", Name: "refuses a file that is no zone",
		Task: "!timezone {timezone: leapseconds}", Probe: showZone, Fails: "the host has no time zone leapseconds",
	},
	Case{
		Module: "timezone", Name: "refuses a path",
		Task: "!timezone {timezone: ../../../etc/passwd}", Probe: showZone, Fails: "must be the name of a time zone",
	},

	Case{
		Module: "firewall", Name: "allows by nftables", Before: noNft,
		Task: "!firewall {ports: [80, 8000-8010], from: [10.1.2.3/8, '2001:db8::1'], interface: eth0}", Probe: showNft,
		Want: `iifname "eth0" ip saddr 10.0.0.0/8 tcp dport 80 accept comment "jet: allow tcp 80 from 10.0.0.0/8 on eth0"
		iifname "eth0" ip6 saddr 2001:db8::1 tcp dport 80 accept comment "jet: allow tcp 80 from 2001:db8::1 on eth0"
		iifname "eth0" ip saddr 10.0.0.0/8 tcp dport 8000-8010 accept comment "jet: allow tcp 8000-8010 from 10.0.0.0/8 on eth0"
		iifname "eth0" ip6 saddr 2001:db8::1 tcp dport 8000-8010 accept comment "jet: allow tcp 8000-8010 from 2001:db8::1 on eth0"
		accept comment "jet: policy allow"
jet.nft
1`,
		Need: "created", Diff: []string{`+include "/etc/nftables.d/jet.nft"`},
	},
	Case{
		Module: "firewall", Name: "adds to rules, for any port and by another action", Before: addNft + `
			printf 'table inet jet {\nchain input {\ndrop comment "jet: policy allow"\n}\n}\n' >/etc/nftables.d/jet.nft`,
		Task: "!firewall {backend: nftables, from: [192.0.2.0/24], action: reject}", Probe: showNft,
		Want: "ip saddr 192.0.2.0/24 reject with icmp port-unreachable comment \"jet: reject from 192.0.2.0/24\"\n\t\taccept comment \"jet: policy allow\"\njet.nft\n1",
		Need: "created",
	},
	Case{
		Module: "firewall", Name: "loads rules that are kept only", Before: addNft + `
			printf 'tcp dport 80 accept comment "jet: allow tcp 80"\ncomment "jet: policy allow"' >/etc/nftables.d/jet.nft`,
		Task: "!firewall {port: 80}", Probe: showNft,
		Want: "tcp dport 80 accept comment \"jet: allow tcp 80\"\n\t\taccept comment \"jet: policy allow\"\njet.nft\n1",
		Need: "modified", Fields: []string{"Rules", "Content"},
	},
	Case{
		Module: "firewall", Name: "keeps rules that are loaded only", Before: noNft + `nft -f - <<'E'
			table inet jet { chain input { udp dport 53 drop comment "jet: deny udp 53"; accept comment "jet: policy allow"; }; }
E`,
		Task: "!firewall {port: 53, proto: udp, action: deny}", Probe: showNft,
		Want: "udp dport 53 drop comment \"jet: deny udp 53\"\n\t\taccept comment \"jet: policy allow\"\njet.nft\n1",
		Need: "modified", Fields: []string{"Content", "Include"},
	},
	Case{
		Module: "firewall", Name: "removes a rule", Before: noNft + `nft -f - <<'E'
			table inet jet { chain input { tcp dport 53 accept comment "jet: allow tcp 53"; tcp dport 54 accept comment "jet: allow tcp 54"; }; }
E`,
		Task: "!firewall {port: 53, remove: true}", Probe: showNft,
		Want: "tcp dport 54 accept comment \"jet: allow tcp 54\"\n\t\taccept comment \"jet: policy allow\"\njet.nft\n1",
		Need: "removed",
	},
	Case{
		Module: "firewall", Name: "has nothing to remove", Before: noNft,
		Task: "!firewall {port: 53, remove: true}", Probe: showNft, Want: "0", Need: "matched",
	},
	Case{
		Module: "firewall", Name: "does not lock itself out by a rule", Before: noNft,
		Task: "!firewall {port: 20-30, action: deny}", Probe: showNft, Fails: "this would keep out SSH connections from",
	},
	Case{
		Module: "firewall", Name: "does not lock itself out by the policy", Before: noNft,
		Task: "!firewall {policy: deny}", Probe: showNft, Fails: "this would keep out SSH connections from",
	},
	Case{
		Module: "firewall", Name: "denies the rest", Before: addNft + `
			printf 'comment "jet: allow tcp 22"\ncomment "jet: policy allow"' >/etc/nftables.d/jet.nft`,
		Task: "!firewall {policy: deny}", Probe: showNft,
		Want: "tcp dport 22 accept comment \"jet: allow tcp 22\"\n\t\tdrop comment \"jet: policy deny\"\njet.nft\n1",
		Need: "modified", Fields: []string{"Rules", "Content"},
	},
	Case{
		Module: "firewall", Name: "locks itself out by force", Before: noNft,
		Task: "!firewall {port: 22, action: deny, from: [192.0.2.1], force: true}", Probe: showNft,
		Want: "ip saddr 192.0.2.1 tcp dport 22 drop comment \"jet: deny tcp 22 from 192.0.2.1\"\n\t\taccept comment \"jet: policy allow\"\njet.nft\n1",
		Need: "created",
	},
	Case{
		Module: "firewall", Name: "refuses words that are none",
		Task: "!firewall {port: 80, action: 'accept comment \"x\"'}", Probe: showNft, Fails: "action must be allow, deny or reject",
	},
	Case{
		Module: "firewall", Name: "allows by ufw where that is active", Before: startUFW + "ufw allow from 2001:db8::/32 >/dev/null",
		Task: "!firewall {ports: [80, 8000-8010], from: [10.0.0.0/8, '2001:db8::1']}", Probe: showUFW,
		Want: `ufw allow 22/tcp
ufw allow from 10.0.0.0/8 to any port 80 proto tcp
ufw allow from 10.0.0.0/8 to any port 8000:8010 proto tcp
ufw allow from 2001:db8::/32
ufw allow from 2001:db8::1 to any port 80 proto tcp
ufw allow from 2001:db8::1 to any port 8000:8010 proto tcp
Status: active
DEFAULT_INPUT_POLICY="DROP"`,
		Need: "created",
	},
	Case{
		Module: "firewall", Name: "finds and removes rules of ufw",
		Before: startUFW + "ufw allow 53/udp >/dev/null; ufw reject in on eth0 from 192.0.2.1 to any port 81 proto tcp comment 'of others' >/dev/null",
		Task:   "!firewall {port: 81, from: [192.0.2.1], interface: eth0, action: reject, remove: true}", Probe: showUFW,
		Want: "ufw allow 22/tcp\nufw allow 53/udp\nStatus: active\nDEFAULT_INPUT_POLICY=\"DROP\"", Need: "removed",
	},
	Case{
		Module: "firewall", Name: "keeps ufw from locking itself out", Before: startUFW,
		Task: "!firewall {port: 22, remove: true}", Probe: showUFW, Fails: "this would keep out SSH connections from",
	},
	Case{
		Module: "firewall", Name: "sets the policy of ufw", Before: startUFW,
		Task: "!firewall {policy: reject}", Probe: showUFW,
		Want: "ufw allow 22/tcp\nStatus: active\nDEFAULT_INPUT_POLICY=\"REJECT\"",
		Need: "modified", Fields: []string{"Policy"},
	},
	Case{
		Module: "firewall", Name: "prepares ufw before it is active", Before: stopUFW,
		Task: "!firewall {backend: ufw, port: 22}", Probe: showUFW,
		Want: "ufw allow 22/tcp\nStatus: inactive\nDEFAULT_INPUT_POLICY=\"DROP\"", Need: "created",
	},
)
