package engine

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// Mode is a permission parameter, written 0o755. The zero Mode is "not given".
type Mode struct {
	Given bool
	Perm  fs.FileMode
}

// UnmarshalNode takes 0o and octal digits, up to 0o7777.
func (m *Mode) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	digits, ok := strings.CutPrefix(n.Value, "0o")
	v, err := strconv.ParseUint(digits, 8, 32)
	if n.Kind != yaml.ScalarNode || !ok || err != nil || v > 0o7777 {
		return f.Errorf(n, "mode must be octal digits after 0o, such as 0o644, not %q%s", n.Value, wasNumber(f, n))
	}
	m.Given = true
	m.Perm = conn.PermOf(uint32(v))
	return nil
}

// wasNumber explains decimal digits that a template came to: they are not what
// stands in the file.
func wasNumber(f *strictyaml.File, n *yaml.Node) string {
	v, err := strconv.ParseUint(n.Value, 10, 12)
	if err != nil || f.TextPos(n).Column != 0 || strings.HasPrefix(n.Value, "0") {
		return ""
	}
	return fmt.Sprintf("; a variable that holds 0o%03o without quotes is the number %d: quote it where it is set", v, v)
}

// String returns the mode as it is written in playbooks.
func (m Mode) String() string { return FormatMode(m.Perm) }

// FormatMode returns a file's permission bits as playbooks write them: 0o644.
func FormatMode(p fs.FileMode) string {
	return fmt.Sprintf("0o%03o", conn.PermBits(p))
}
