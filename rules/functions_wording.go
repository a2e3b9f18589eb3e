package rules

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/jet-bus/jet-bus/internal/lazyregexp"
)

// rewording is a fault as expr tells it, and how rule files speak of it. The last kinds of its groups are Go's names of types.
type rewording struct {
	fault func() *regexp.Regexp
	says  string
	kinds int
}

// rewordings are the faults that expr tells in words of its own, or of Go.
var rewordings = []rewording{
	{lazyregexp.New(`^interface conversion: interface \{\} is (\S+), not (\S+)$`), "a value is %s, not %s", 2},
	{lazyregexp.New(`^invalid operation: (\S+(?: \S+)?) \(mismatched types (.+) and (.+)\)$`), "%s does not go between %s and %s", 2},
	{lazyregexp.New(`^invalid operation: (\S+) \(mismatched type (.+)\)$`), "%s does not go before %s", 1},
	{lazyregexp.New(`^invalid operation: (\S+) ([^ \w]+|in) (\S+)$`), "%[2]s does not go between %[1]s and %[3]s", 3},
	{lazyregexp.New(`^expected bool, but got (.+)$`), "must be true or false, not %s", 1},
	{lazyregexp.New(`^invalid argument for (\w+) \(type (.+)\)$`), "%s does not take %s", 1},
	{lazyregexp.New(`^builtin (\w+) takes only array \(got (.+)\)$`), "%s takes a list, not %s", 1},
	{lazyregexp.New(`^predicate should return boolean \(got (.+)\)$`), "the predicate must be true or false, not %s", 1},
	{lazyregexp.New(`^expected at least (\d+) arguments$`), "there must be %s arguments", 0},
	{lazyregexp.New(`^unrecognized character: U\+[0-9A-F]+ '(.+)'$`), `"%s" is not part of the rule language`, 0},
	{lazyregexp.New(`^unexpected token Operator\("="\)$`), `"=" is not part of the rule language; two values are compared by ==`, 0},
	{lazyregexp.New(`^unexpected token \w+\("(.+)"\)$`), `"%s" does not belong here`, 0},
}

// reword returns a fault of expr in the words of rule files, or false if it is none that is known.
func reword(fault string) (string, bool) {
	for _, r := range rewordings {
		groups := r.fault().FindStringSubmatch(fault)
		if groups == nil {
			continue
		}
		var args []any
		for i, g := range groups[1:] {
			if i >= len(groups)-1-r.kinds && g != "in" && strings.ContainsAny(g[:1], "abcdefghijklmnopqrstuvwxyz*[") {
				g = kindNamed(g)
			}
			args = append(args, g)
		}
		return fmt.Sprintf(r.says, args...), true
	}
	return "", false
}

// kindNamed is [kindOfType] for a type of which only Go's name is known.
func kindNamed(name string) string {
	name = strings.TrimPrefix(name, "*")
	switch {
	case name == "string":
		return "text"
	case name == "bool":
		return "true or false"
	case strings.HasPrefix(name, "int"), strings.HasPrefix(name, "uint"), strings.HasPrefix(name, "float"):
		if !strings.HasPrefix(name, "interface") {
			return "a number"
		}
		return "a value"
	case name == "time.Time":
		return "a time"
	case name == "time.Duration":
		return "a duration"
	case name == "semver.Version":
		return "a version"
	case name == "rules.view":
		return "an event"
	case name == "rules.span":
		return "a window"
	case strings.HasPrefix(name, "[]"), name == "array":
		return "a list"
	case strings.HasPrefix(name, "map["):
		return "a mapping"
	case name == "nil":
		return name
	default:
		return "a value"
	}
}
