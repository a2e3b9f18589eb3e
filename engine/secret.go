package engine

import (
	"slices"
	"strconv"
	"strings"
)

// Hidden is what is shown in the place of a secret.
const Hidden = "(hidden)"

// secrets are the variables that hold one.
var secrets = [...]string{"jet_ssh_password", "jet_ssh_private_key_passphrase"}

// IsSecret reports whether the value of the variable called name must not be
// shown.
func IsSecret(name string) bool { return slices.Contains(secrets[:], name) }

// hide replaces the values of secret variables in what the outcome shows.
func (o *outcome) hide(vars map[string]any) {
	var values []string
	for _, name := range secrets {
		value := ""
		switch v := vars[name].(type) {
		case string:
			value = v
		case int64:
			value = strconv.FormatInt(v, 10)
		}
		if value != "" {
			values = append(values, value)
		}
	}
	if len(values) == 0 {
		return
	}
	// The longest first: one may begin as another does.
	slices.SortFunc(values, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, v := range values {
		pairs = append(pairs, v, Hidden)
	}
	r := strings.NewReplacer(pairs...)
	for i, m := range o.messages {
		o.messages[i] = r.Replace(m)
	}
	if o.command != nil {
		o.command = &CommandResult{
			Cmd: r.Replace(o.command.Cmd), RC: o.command.RC,
			Stdout: r.Replace(o.command.Stdout), Stderr: r.Replace(o.command.Stderr),
		}
	}
}
