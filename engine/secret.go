package engine

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// Hidden is what is shown in the place of a secret.
const Hidden = "(hidden)"

// secrets are the variables that hold one.
var secrets = [...]string{"jet_ssh_password", "jet_ssh_private_key_passphrase", "jet_sudo_password"}

// IsSecret reports whether the value of the variable called name must not be
// shown.
func IsSecret(name string) bool { return slices.Contains(secrets[:], name) }

// veil replaces secrets where something is shown. The zero veil replaces none.
type veil struct{ values []string }

// variables adds the values of secret variables.
func (v *veil) variables(vars map[string]any) {
	for _, name := range secrets {
		switch value := vars[name].(type) {
		case string:
			v.add(value)
		case int64:
			v.add(strconv.FormatInt(value, 10))
		}
	}
}

func (v *veil) add(values ...string) {
	for _, s := range values {
		if s == "" || slices.Contains(v.values, s) {
			continue
		}
		v.values = append(v.values, s)
		for _, form := range quotedForms(s) {
			if !slices.Contains(v.values, form) {
				v.values = append(v.values, form)
			}
		}
		// The longest first: one may begin as another does.
		slices.SortFunc(v.values, func(a, b string) int { return len(b) - len(a) })
	}
}

// quotedForms are what a secret looks like within quotes (those of a shell, of
// JSON with and without its care for HTML, and of messages) and in base64.
func quotedForms(s string) []string {
	inner := func(quoted string) string { return quoted[1 : len(quoted)-1] }
	forms := []string{
		strings.ReplaceAll(s, "'", `'\''`), inner(strconv.Quote(s)),
		base64.StdEncoding.EncodeToString([]byte(s)),
	}
	var plain strings.Builder
	enc := json.NewEncoder(&plain)
	enc.SetEscapeHTML(false)
	if enc.Encode(s) == nil {
		forms = append(forms, inner(strings.TrimSuffix(plain.String(), "\n")))
	}
	if html, err := json.Marshal(s); err == nil {
		forms = append(forms, inner(string(html)))
	}
	return forms
}

func (v *veil) replacer() *strings.Replacer {
	var pairs []string
	for _, s := range v.values {
		pairs = append(pairs, s, Hidden)
	}
	return strings.NewReplacer(pairs...)
}

// hide replaces secrets in what the outcome shows.
func (v *veil) hide(o *outcome) {
	if len(v.values) == 0 {
		return
	}
	r := v.replacer()
	for i, m := range o.messages {
		o.messages[i] = r.Replace(m)
	}
	for i, d := range o.diffs {
		d.Before, d.After = r.Replace(d.Before), r.Replace(d.After)
		o.diffs[i] = d
	}
	if o.command != nil {
		o.command = &CommandResult{
			Cmd: r.Replace(o.command.Cmd), RC: o.command.RC,
			Stdout: r.Replace(o.command.Stdout), Stderr: r.Replace(o.command.Stderr),
		}
	}
}

// unsaid is what a task with no_log says instead of why it failed.
const unsaid = "what it says is hidden (no_log)"

// conceal takes out whatever the outcome would show but how the task ended.
func (o *outcome) conceal() {
	if len(o.messages) > 0 {
		o.messages = []string{unsaid}
	}
	o.command, o.diffs = nil, nil
}
