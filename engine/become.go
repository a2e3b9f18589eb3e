package engine

import (
	"cmp"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/internal/lazyregexp"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// noSudo is the user name that switches sudo off.
const noSudo = "none"

// becomeTemplate is a play's own way to become another user.
type becomeTemplate string

var placeholder = lazyregexp.New(`\{\{\s*([^{}]*?)\s*\}\}`)

// UnmarshalNode takes a command line with the two placeholders, and nothing else
// in braces, or null.
func (b *becomeTemplate) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	if n.ShortTag() == "!!null" {
		return nil
	}
	if n.Kind != yaml.ScalarNode || n.Value == "" {
		return f.Errorf(n, "must be text, and not empty")
	}
	found := make(map[string]bool)
	for _, m := range placeholder().FindAllStringSubmatch(n.Value, -1) {
		if m[1] != "jet_sudo_user" && m[1] != "jet_command" {
			return f.Errorf(n, "sudo_template: %s is not known here; only {{jet_sudo_user}} and {{jet_command}} are", m[0])
		}
		found[m[1]] = true
	}
	if !found["jet_sudo_user"] || !found["jet_command"] {
		return f.Errorf(n, "sudo_template needs both {{jet_sudo_user}} and {{jet_command}}")
	}
	*b = becomeTemplate(placeholder().ReplaceAllString(n.Value, "{{$1}}"))
	return nil
}

// become says which user to run the task as, on the place that at tells of. The
// zero value is the login user.
func (x *execution) become(vars map[string]any, at *place) (conn.Become, error) {
	user := cmp.Or(x.scope.play.sudo, x.Sudo)
	if x.set.sudo != nil {
		var err error
		if user, err = x.set.sudo.render("sudo", vars); err != nil {
			return conn.Become{}, err
		}
	}
	if user == "" || user == noSudo {
		return conn.Become{}, nil
	}
	password, err := at.text("jet_sudo_password", x.SudoPassword)
	return conn.Become{User: user, Template: x.scope.play.sudoTemplate, Password: password}, err
}
