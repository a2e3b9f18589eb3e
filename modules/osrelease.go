package modules

import (
	"strings"

	"github.com/jet-bus/jet-bus/internal/lazyregexp"
)

// maxOSRelease bounds how much of an os-release file is read, in bytes.
const maxOSRelease = 64 << 10

var osReleaseLine = lazyregexp.New(`^\s*([A-Za-z_][A-Za-z0-9_]*)=(.*)$`)

// parseOSRelease reads the assignments of an os-release file, whose values are
// quoted as for a shell. Other lines are passed over.
func parseOSRelease(data []byte) map[string]string {
	out := make(map[string]string)
	for line := range strings.Lines(text(data)) {
		if m := osReleaseLine().FindStringSubmatch(strings.TrimRight(line, "\r\n")); m != nil {
			out[m[1]] = unquote(strings.TrimSpace(m[2]))
		}
	}
	return out
}

// unquote removes a shell's quotes. In single quotes all is literal; elsewhere
// a backslash keeps the next character.
func unquote(s string) string {
	if len(s) >= 2 && s[0] == '\'' && s[len(s)-1] == '\'' {
		return s[1 : len(s)-1]
	}
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		s = s[1 : len(s)-1]
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// flavor names the family of systems a host belongs to: by what the system
// calls itself, then by what it says it is like.
func flavor(osType string, release map[string]string) string {
	if osType == "MacOS" {
		return "OSX"
	}
	for id := range strings.FieldsSeq(release["ID"] + " " + release["ID_LIKE"]) {
		if f := flavorOf(strings.ToLower(id)); f != "" {
			return f
		}
	}
	return "Unknown"
}

func flavorOf(id string) string {
	switch id {
	case "debian", "ubuntu", "raspbian", "linuxmint", "devuan":
		return "Debian"
	case "rhel", "fedora", "centos", "rocky", "almalinux", "ol", "amzn":
		return "EL"
	case "arch", "archarm":
		return "Arch"
	case "suse", "opensuse", "sles", "sled":
		return "SUSE"
	case "alpine":
		return "Alpine"
	}
	if strings.HasPrefix(id, "opensuse-") {
		return "SUSE"
	}
	return ""
}
