package modules

import (
	"slices"
	"strconv"
	"strings"
)

// fstabEntry is a line of /etc/fstab.
type fstabEntry struct {
	source, path, fstype string
	options              []string
	dump, pass           uint
}

// parseFstab reads a line; ok is false for one that is no entry.
func parseFstab(l string) (e fstabEntry, ok bool) {
	f := strings.Fields(l)
	if len(f) < 3 || strings.HasPrefix(f[0], "#") {
		return fstabEntry{}, false
	}
	e = fstabEntry{source: unescapeOctal(f[0]), path: unescapeOctal(f[1]), fstype: unescapeOctal(f[2])}
	e.options = []string{"defaults"}
	if len(f) > 3 {
		e.options = strings.Split(unescapeOctal(f[3]), ",")
	}
	number := func(i int) uint {
		if i >= len(f) {
			return 0
		}
		n, _ := strconv.ParseUint(f[i], 10, 16) // what is no number counts as none
		return uint(n)
	}
	e.dump, e.pass = number(4), number(5)
	return e, true
}

// line is the entry as a line of the file.
func (e fstabEntry) line() string {
	return strings.Join([]string{
		escapeOctal(e.source), escapeOctal(e.path), escapeOctal(e.fstype), escapeOctal(strings.Join(e.options, ",")),
		strconv.FormatUint(uint64(e.dump), 10), strconv.FormatUint(uint64(e.pass), 10),
	}, "\t") + "\n"
}

func (e fstabEntry) equal(o fstabEntry) bool {
	return e.source == o.source && e.path == o.path && e.fstype == o.fstype && slices.Equal(e.options, o.options) &&
		e.dump == o.dump && e.pass == o.pass
}

// same tells whether two entries are about the same place: the mount point, or for
// swap space, which has none, the device.
func (e fstabEntry) same(o fstabEntry) bool {
	if e.fstype == fstypeSwap || o.fstype == fstypeSwap {
		return e.fstype == o.fstype && e.source == o.source
	}
	return e.path == o.path
}

// findFstab returns the entries for the same place as e.
func findFstab(text string, e fstabEntry) []fstabEntry {
	var out []fstabEntry
	for l := range strings.Lines(text) {
		if have, ok := parseFstab(l); ok && e.same(have) {
			out = append(out, have)
		}
	}
	return out
}

// editFstab returns a table with the entry in the place of the one it has for the
// same place, or at its end; with remove, without any.
func editFstab(text string, e fstabEntry, remove bool) string {
	var out strings.Builder
	done := remove
	for l := range strings.Lines(text) {
		have, ok := parseFstab(l)
		switch {
		case !ok || !e.same(have):
			out.WriteString(l)
		case done:
		case e.equal(have):
			out.WriteString(l)
			done = true
		default:
			out.WriteString(e.line())
			done = true
		}
	}
	if done {
		return out.String()
	}
	if text != "" && !strings.HasSuffix(text, "\n") {
		out.WriteString("\n")
	}
	out.WriteString(e.line())
	return out.String()
}

// kernelOptions are the options that a file system is mounted with, without those that
// only programs know.
func kernelOptions(options []string) []string {
	return slices.DeleteFunc(slices.Clone(options), func(o string) bool {
		switch o {
		case "defaults", "auto", "noauto", "nofail", "_netdev", "user", "nouser", "users", "owner", "group":
			return true
		}
		return strings.HasPrefix(o, "x-") || strings.HasPrefix(o, "comment=")
	})
}

// mountFlag is the flag that an option sets or takes off, of those that the kernel
// shows for every mount; it is empty for other options.
func mountFlag(option string) (flag string, set bool) {
	switch option {
	case "ro", "nosuid", "nodev", "noexec", "noatime":
		return option, true
	case "rw":
		return "ro", false
	case "suid", "dev", "exec", "atime":
		return "no" + option, false
	}
	return "", false
}

// lacks tells whether a mount is seen not to have the options. Only flags are
// compared: of other options the kernel may show another form, or nothing.
func (m mounted) lacks(options []string) bool {
	want := make(map[string]bool)
	for _, o := range options {
		if flag, set := mountFlag(o); flag != "" {
			want[flag] = set // the last one holds
		}
		switch o {
		case "user", "users", "owner", "group": // imply some, by who mounts
			delete(want, "nosuid")
			delete(want, "nodev")
			delete(want, "noexec")
		}
	}
	for flag, set := range want {
		if slices.Contains(m.options, flag) != set {
			return true
		}
	}
	return false
}
