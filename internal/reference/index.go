package reference

import (
	"fmt"
	"slices"
	"strings"
)

// group is a part of the index.
type group struct {
	title   string
	modules []string
}

// groups are the parts of the index, in their order.
func groups() []group {
	return []group{
		{"Files", []string{
			"copy", "template", "file", "directory", "symlink", "line", "text_block", "ini", "move", "stat",
		}},
		{"Downloads, archives and releases", []string{"download", "git", "github_release", "archive", "unpack"}},
		{"Packages", []string{"package", "apt", "dnf", "yum", "zypper", "pacman", "apk", "homebrew"}},
		{"Services and containers", []string{"service", "sd_service", "cron", "container"}},
		{"Accounts and access", []string{"user", "group", "authorized_key", "known_host"}},
		{"The system", []string{"facts", "hostname", "timezone", "mount", "sysctl", "firewall", "reboot"}},
		{"Commands", []string{"shell", "script", "external"}},
		{"Network and events", []string{"http", "wait_for", "publish"}},
		{"The run itself", []string{"set", "assert", "fail", "echo", "debug"}},
	}
}

// index is the page that lists the others.
func index(pages []page) (string, error) {
	var b strings.Builder
	b.WriteString("# Modules\n\n" + generated + "\n")
	b.WriteString(wrap("", "", "A task names one of these modules by its tag, as `!copy`, and gives it parameters. "+
		"How tasks are written, and what `with` and `and` around them mean, is told in "+
		"[docs/playbooks.md](../playbooks.md#tasks). `jet modules` lists the modules, and `jet modules NAME` shows a page "+
		"on a terminal."))
	left := slices.Clone(pages)
	for _, g := range groups() {
		title := "\n## " + g.title + "\n\n"
		for _, name := range g.modules {
			i := slices.IndexFunc(left, func(p page) bool { return p.name == name })
			if i < 0 {
				continue
			}
			b.WriteString(title)
			title = ""
			b.WriteString(wrap("- ", "  ", fmt.Sprintf("[`%s`](%[1]s.md): %s", name, left[i].sentence)))
			left = slices.Delete(left, i, i+1)
		}
	}
	for _, p := range left {
		return "", fmt.Errorf("module %s is in no group of the index: add it to one in internal/reference/index.go", p.name)
	}
	return b.String(), nil
}
