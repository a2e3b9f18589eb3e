package modules

import (
	"slices"
	"strconv"
	"strings"
	"unicode"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/internal/lazyregexp"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// Names of what differs in users and groups.
const (
	fieldUID    = "Uid"
	fieldGID    = "Gid"
	fieldGecos  = "Gecos"
	fieldHome   = "Home"
	fieldShell  = "Shell"
	fieldGroups = "Groups"
	fieldUsers  = "Users"
)

// accountName is the name of a user or group. A number would be taken for an id.
type accountName string

var accountPattern = lazyregexp.New(`^[A-Za-z_][A-Za-z0-9_.-]{0,254}\$?$`)

// UnmarshalNode takes a name as useradd takes it.
func (a *accountName) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode || !accountPattern().MatchString(n.Value) {
		return f.Errorf(n, "%q is no name of a user or group: letters, digits, _, - and ., beginning with a letter or _", n.Value)
	}
	*a = accountName(n.Value)
	return nil
}

// accountID is a user or group by name or number.
type accountID string

// UnmarshalNode takes a name or a decimal id.
func (a *accountID) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	_, err := strconv.ParseUint(n.Value, 10, 32)
	if n.Kind != yaml.ScalarNode || err != nil && !accountPattern().MatchString(n.Value) {
		return f.Errorf(n, "%q is neither a number nor a name of a user or group", n.Value)
	}
	*a = accountID(n.Value)
	return nil
}

// field is one line of text without a colon: it stands in a line of the account
// files, so it cannot hold what separates them.
type field string

// noField tells which characters have no place in a field.
func noField(r rune) bool { return r == ':' || unicode.IsControl(r) }

// UnmarshalNode takes a text without colons and control characters.
func (v *field) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode || strings.ContainsFunc(n.Value, noField) {
		return f.Errorf(n, "must be one line of text without a colon or a control character")
	}
	*v = field(n.Value)
	return nil
}

// list is names as programs take them: sorted, each once, with commas.
func list(names []accountName) string {
	texts := make([]string, len(names))
	for i, n := range names {
		texts[i] = string(n)
	}
	slices.Sort(texts)
	return strings.Join(slices.Compact(texts), ",")
}

// missing returns those of want that have lacks.
func missing(want []accountName, have []string) []accountName {
	var out []accountName
	for _, w := range want {
		if !slices.Contains(have, string(w)) {
			out = append(out, w)
		}
	}
	return out
}
