package modules

import "github.com/jet-bus/jet-bus/engine"

// Table returns every module, sorted by name. The slice is the caller's.
func Table() []engine.Spec {
	return []engine.Spec{
		engine.Of[apk]("apk", "Ensures that an Alpine package is installed, or is not."),
		engine.Of[apt]("apt", "Ensures that a Debian package is installed, or is not."),
		engine.Of[archiveModule]("archive", "Ensures that an archive holds files and directories of the host."),
		engine.Of[assert]("assert", "Fails the host unless every condition given holds."),
		engine.Of[copyFile]("copy", "Ensures that a file, or a directory with all that is in it, is a copy of one of this machine."),
		engine.Of[cron]("cron", "Ensures that cron runs a command at certain times, or does not."),
		engine.Of[debug]("debug", "Prints variables as YAML."),
		engine.Of[directory]("directory", "Ensures that a directory exists with the attributes given, or does not exist."),
		engine.Of[dnf]("dnf", "Ensures that an RPM package is installed, or is not, with dnf or yum."),
		engine.Of[download]("download", "Ensures that a file was fetched over HTTP."),
		engine.Of[echo]("echo", "Prints a message."),
		engine.Of[external]("external", "Runs a program from a folder of modules on the host."),
		engine.Of[facts]("facts", "Learns facts about the host and keeps them as variables."),
		engine.Of[fail]("fail", "Fails the host."),
		engine.Of[file]("file", "Ensures that a file exists with the attributes given, or does not exist."),
		engine.Of[firewall]("firewall", "Ensures that the firewall has a rule for what comes in, or does not have it."),
		engine.Of[gitModule]("git", "Ensures that a working copy of a git repository is at a version."),
		githubReleaseSpec(),
		engine.Of[group]("group", "Ensures that a group exists as described, or does not exist."),
		engine.Of[homebrew]("homebrew", "Ensures that a Homebrew package is installed, or is not."),
		engine.Of[hostname]("hostname", "Ensures that the host has a name."),
		engine.Of[line]("line", "Ensures that a file holds a line, or does not hold it."),
		engine.Of[mount]("mount", "Ensures that a file system is mounted, now and at boot, or is not."),
		engine.Of[move]("move", "Ensures that a file or a directory is where it was moved to."),
		engine.Of[pacman]("pacman", "Ensures that an Arch Linux package is installed, or is not."),
		engine.Of[script]("script", "Runs a script of this machine on the host."),
		engine.Of[sdService]("sd_service", "Ensures that a systemd unit runs, and is started at boot, or not."),
		engine.Of[set]("set", "Sets variables of the host."),
		engine.Of[shell]("shell", "Runs a command line in the host's shell."),
		engine.Of[stat]("stat", "Saves what is known about a path in a variable."),
		engine.Of[sysctl]("sysctl", "Ensures that a setting of the kernel has a value, now and at boot."),
		engine.Of[templateFile]("template", "Ensures that a file has the content of a rendered template and the attributes given."),
		engine.Of[timezone]("timezone", "Ensures that the host is in a time zone."),
		engine.Of[unpack]("unpack", "Ensures that an archive is unpacked."),
		engine.Of[user]("user", "Ensures that an account exists as described, or does not exist."),
		engine.Of[dnf]("yum", "Ensures that an RPM package is installed, or is not, with dnf or yum."),
		engine.Of[zypper]("zypper", "Ensures that a SUSE package is installed, or is not."),
	}
}
