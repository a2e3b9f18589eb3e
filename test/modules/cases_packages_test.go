package modules

import "strings"

// managed are hosts with package managers and repositories of the suite's own,
// which hold labtool 1.0 and 2.0, which needs lablib, and labother 1.0.
var managed = []Kind{Packages}

// repository is a package manager with its repository, from outside.
type repository struct {
	// module is the module that is asked.
	module string
	// probe lists the packages that are installed, one a line.
	probe string
	// none removes all packages, old installs labtool 1.0, raise labtool 2.0.
	none, old, raise string
	// line turns the name and version of a package into a line of the probe.
	line func(name, version string) string
	// version turns 1.0 into what the manager calls it.
	version func(name, version string) string
}

// has is what the probe prints for packages, each NAME VERSION, in order.
func (r repository) has(packages ...string) string {
	var lines []string
	for _, p := range packages {
		name, version, _ := strings.Cut(p, " ")
		lines = append(lines, r.line(name, r.version(name, version)))
	}
	return strings.Join(lines, "\n")
}

func aptRepository(module string) repository {
	none := "dpkg --purge --force-all labtool lablib labother >/dev/null 2>&1\n"
	return repository{
		module: module,
		probe:  `dpkg-query -W -f '${db:Status-Want} ${db:Status-Status} ${Package} ${Version}\n' 'lab*' 2>/dev/null | grep -v not-installed | sort`,
		none:   none,
		old:    none + "dpkg -i /srv/deb/lablib_1.0_all.deb /srv/deb/labtool_1.0-1_all.deb >/dev/null 2>&1\n",
		raise:  "dpkg -i /srv/deb/labtool_2.0-1_all.deb >/dev/null 2>&1\n",
		line:   func(name, version string) string { return "install installed " + name + " " + version },
		version: func(name, version string) string {
			if name == "labtool" {
				return "1:" + version + "-1"
			}
			return version
		},
	}
}

func rpmRepository(module string) repository {
	none := "for p in labtool labother lablib; do rpm -e $p >/dev/null 2>&1; done\n"
	return repository{
		module: module,
		probe:  `rpm -qa 'lab*' | sort`,
		none:   none,
		old:    none + "rpm -i --nodeps /srv/rpm/noarch/lablib-1.0-1.noarch.rpm /srv/rpm/noarch/labtool-1.0-1.noarch.rpm 2>/dev/null\n",
		raise:  "rpm -U --nodeps /srv/rpm/noarch/labtool-2.0-1.noarch.rpm 2>/dev/null\n",
		line:   func(name, version string) string { return name + "-" + version + ".noarch" },

		version: func(_, version string) string { return version + "-1" },
	}
}

func pacmanRepository(module string) repository {
	none := "for p in labtool labother lablib; do pacman -R --noconfirm $p >/dev/null 2>&1; done\n"
	return repository{
		module: module,
		probe:  `pacman -Q 2>/dev/null | sort`,
		none:   none,
		old: none + "pacman -U --noconfirm /srv/pac/lablib-1.0-1-any.pkg.tar.gz " +
			"/srv/pac/labtool-1.0-1-any.pkg.tar.gz >/dev/null\n",
		raise:   "pacman -U --noconfirm /srv/pac/labtool-2.0-1-any.pkg.tar.gz >/dev/null\n",
		line:    func(name, version string) string { return name + " " + version },
		version: func(_, version string) string { return version + "-1" },
	}
}

// left is what labtool leaves behind: dnf alone also removes what only labtool
// needed.
func (r repository) left() string {
	if r.module == "dnf" {
		return ""
	}
	return r.has("lablib 1.0")
}

// asked makes a case of the manager's module.
func (r repository) asked(name, before, task string) Case {
	return Case{
		Module: r.module, Name: name, Kinds: managed, Before: before + "true\n", Task: "!" + r.module + "\n" + task,
		Probe: r.probe,
	}
}

// ends says what the case must find and leave, and show as a difference.
func (c Case) ends(want, need string, diff ...string) Case {
	c.Want, c.Need, c.Diff = want, need, diff
	if need == "modified" {
		c.Fields = []string{"Version"}
	}
	return c
}

// refuses says what the case must fail with.
func (c Case) refuses(why string) Case {
	c.Fails = why
	return c
}

// common are the cases of every package manager.
func (r repository) common() []Case {
	old, tool2 := r.has("lablib 1.0", "labtool 1.0"), r.has("lablib 1.0", "labtool 2.0")
	both := r.has("lablib 1.0", "labother 1.0", "labtool 2.0")
	update := []string{"-labtool " + r.version("labtool", "1.0"), "+labtool " + r.version("labtool", "2.0")}
	return []Case{
		r.asked("installs the newest and what it needs", r.none, "package: labtool\n").ends(tool2, "created", "+labtool"),
		r.asked("matches what is there", r.old, "package: labtool\n").ends(old, "matched"),
		r.asked("updates", r.old, "package: labtool\nupdate: true\n").ends(tool2, "modified", update...),
		r.asked("has nothing to update", r.old+r.raise, "package: labtool\nupdate: true\n").ends(tool2, "matched"),
		r.asked("installs a list", r.none, "package: [labtool, labother]\nrefresh: true\n").ends(both, "created", "+labtool", "+labother"),
		r.asked("installs and updates a list", r.old, "package: [labother, labtool]\nupdate: true\n").ends(both, "created", update...),
		r.asked("installs and updates items", r.old, "package: '{{ item }}'\nupdate: true\nwith:\n  items: [labother, labtool]\n").
			ends(both, "created", update...),
		r.asked("removes", r.old, "package: [labtool, labother]\nremove: true\n").ends(r.left(), "removed", update[:1]...),
		r.asked("has nothing to remove", r.none, "package: labtool\nremove: true\n").ends("", "matched"),
		r.asked("refuses what there is not", r.none, "package: [labother, lab-of-nobody]\n").
			refuses("the repositories have no package lab-of-nobody"),
		r.asked("refuses a command", r.none, "package: \"labother $(touch /tmp/pwned)\"\n").refuses("is no name of a package"),
	}
}

// versions are the cases of those that know more than the newest version.
func (r repository) versions() []Case {
	old, tool2 := r.has("lablib 1.0", "labtool 1.0"), r.has("lablib 1.0", "labtool 2.0")
	v2 := r.version("labtool", "2.0")
	return []Case{
		r.asked("installs a version", r.none, "package: labtool\nversion: 1.0\n").ends(old, "created", "+labtool 1.0"),
		r.asked("installs a version with a star", r.none, "package: [labtool=1*, labother]\n").
			ends(r.has("lablib 1.0", "labother 1.0", "labtool 1.0"), "created", "+labtool 1*", "+labother"),
		r.asked("raises a version", r.old, "package: labtool\nversion: '"+v2+"'\n").ends(tool2, "modified", "+labtool "+v2),
		r.asked("lowers a version", r.old+r.raise, "package: labtool=1.0\n").ends(old, "modified", "-labtool "+v2, "+labtool 1.0"),
		r.asked("refuses a version there is not", r.none, "package: labtool\nversion: '9'\n").refuses("labtool"),
	}
}

var (
	_ = add(aptRepository("apt").common()...)
	_ = add(aptRepository("apt").versions()...)
	_ = add(rpmRepository("dnf").common()...)
	_ = add(rpmRepository("dnf").versions()...)
	_ = add(rpmRepository("zypper").common()...)
	_ = add(rpmRepository("zypper").versions()...)
	_ = add(pacmanRepository("pacman").common()...)
)

var _ = add(
	rpmRepository("yum").asked("installs, as dnf does", rpmRepository("").none, "package: [labtool, labother]\n").
		ends(rpmRepository("").has("lablib 1.0", "labother 1.0", "labtool 2.0"), "created"),
	rpmRepository("yum").asked("updates, as dnf does", rpmRepository("").old, "package: labtool\nupdate: true\n").
		ends(rpmRepository("").has("lablib 1.0", "labtool 2.0"), "modified"),
	aptRepository("package").asked("uses what the host has", aptRepository("").old, "package: [labtool, labother]\nupdate: true\n").
		ends(aptRepository("").has("lablib 1.0", "labother 1.0", "labtool 2.0"), "created"),
	aptRepository("package").asked("installs a version", aptRepository("").none, "package: labtool\nversion: 1.0\n").
		ends(aptRepository("").has("lablib 1.0", "labtool 1.0"), "created"),
	aptRepository("package").asked("removes items", aptRepository("").old,
		"package: '{{ item }}'\nremove: true\nwith:\n  items: [labtool, labother]\n").ends(aptRepository("").has("lablib 1.0"), "removed"),
	aptRepository("package").asked("refuses what there is not", aptRepository("").none, "package: lab-of-nobody\n").
		refuses("the repositories have no package lab-of-nobody"),
	rpmRepository("package").asked("uses what it is told", rpmRepository("").none, "package: labother\nuse: zypper\n").
		ends(rpmRepository("").has("labother 1.0"), "created"),
	pacmanRepository("pacman").asked("names the repository", pacmanRepository("").old, "package: lab/labtool\nupdate: true\n").
		ends(pacmanRepository("").has("lablib 1.0", "labtool 2.0"), "modified"),
	pacmanRepository("pacman").asked("installs the version there is", pacmanRepository("").none, "package: labtool=2.0\n").
		ends(pacmanRepository("").has("lablib 1.0", "labtool 2.0"), "created"),
	pacmanRepository("pacman").asked("refuses another version", pacmanRepository("").none, "package: labtool=1.0\n").
		refuses("pacman installs the newest version only, which is 2.0-1"),
)

// The cases of what apt alone knows.
var _ = add(func() []Case {
	r := aptRepository("apt")
	other := r.none + "dpkg -i /srv/deb/labother_1.0_all.deb >/dev/null 2>&1\n"
	held := r.old + "apt-mark hold labtool >/dev/null\n"
	purged := r.asked("purges what was removed", other+"dpkg --remove labother >/dev/null\n",
		"package: labother\nremove: true\npurge: true\n").ends("", "removed", "-labother")
	kept := r.asked("keeps the configuration", other, "package: labother\nremove: true\n").
		ends("deinstall config-files labother 1.0\nanswer=42", "removed")
	kept.Probe += "\ncat /etc/labother.conf 2>/dev/null"
	age := "\nfind /var/lib/apt/lists/partial -maxdepth 0 -mmin -5 | wc -l"
	aged := r.asked("reads old lists anew", r.old+r.raise+"touch -d '2 days ago' /var/lib/apt/lists/partial\n",
		"package: labtool\nupdate: true\nrefresh: 1h\n").ends(r.has("lablib 1.0", "labtool 2.0")+"\n1", "modified")
	aged.Probe += age
	aged.Fields = []string{"Lists"}
	young := r.asked("leaves young lists", r.old+r.raise+"touch -d '30 minutes ago' /var/lib/apt/lists/partial\n",
		"package: labtool\nupdate: true\nrefresh: true\n").ends(r.has("lablib 1.0", "labtool 2.0")+"\n0", "matched")
	young.Probe += age
	unlisted := r.asked("finds an update in new lists", r.old+`cd /srv/deb && mv labtool_2.0-1_all.deb /srv/
apt-ftparchive packages . >Packages && apt-ftparchive release . >Release && apt-get -qq update
mv /srv/labtool_2.0-1_all.deb . && apt-ftparchive packages . >Packages && apt-ftparchive release . >Release
touch -d '2 hours ago' /var/lib/apt/lists/partial
`, "package: labtool\nupdate: true\nrefresh: true\n").ends(r.has("lablib 1.0", "labtool 2.0"), "modified")
	unlisted.Fields = []string{"Lists"}
	return []Case{
		purged, kept, aged, young, unlisted,
		r.asked("removes what none needs any more", r.old+"apt-mark auto lablib >/dev/null\n", "package: labtool\nremove: true\nautoremove: true\n").ends("", "removed"),
		r.asked("refuses to update what is held", held, "package: labtool\nupdate: true\n").refuses("labtool is held at version 1:1.0-1"),
		r.asked("refuses to remove what is held", held, "package: labtool\nremove: true\n").refuses("labtool is held at version 1:1.0-1"),
		r.asked("refuses an expression that others match", r.none, "package: labothe.\n").
			refuses("the repositories have no package labothe."),
		r.asked("refuses a name that would remove", r.old, "package: labtool-\n").refuses("is no name of a package"),
		r.asked("refuses what others provide", r.none, "package: labvirtual\n").refuses("labvirtual is no package itself"),
	}
}()...)
