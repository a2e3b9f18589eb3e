package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/jet-bus/jet-bus/engine/inventory"
	"github.com/jet-bus/jet-bus/internal/proc"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// extraVars blends the values of -e in the order given.
func extraVars(args []string) (map[string]any, error) {
	vars := map[string]any{}
	for _, arg := range args {
		name, what, text := "-e", "the value given", []byte(arg)
		if file, ok := strings.CutPrefix(arg, "@"); ok {
			data, err := os.ReadFile(file)
			if err != nil {
				return nil, fmt.Errorf("read extra variables: %w", err)
			}
			name, what, text = file, "what "+file+" holds", data
		} else if !json.Valid(text) {
			// It is not repeated: there may be a password in it.
			return nil, proc.Usagef(`-e takes a JSON object such as {"name": "value"}, or @file.yml: %v`, json.Unmarshal(text, new(any)))
		}
		f, err := strictyaml.Parse(name, text) // JSON is YAML
		if err != nil {
			return nil, err
		}
		if f.Root == nil {
			continue // an empty file
		}
		v, err := f.Value(f.Root)
		if err != nil {
			return nil, err
		}
		m, ok := v.(map[string]any)
		if !ok {
			return nil, proc.Usagef("-e takes an object of variables: %s is none", what)
		}
		vars, _ = inventory.Blend(vars, m).(map[string]any)
	}
	return vars, nil
}

// unseen are variables of the process that say nothing to a template: they belong
// to the shell or the session.
var unseen = [...]string{
	"OLDPWD", "PWD", "SHLVL", "SSH_AGENT_PID", "SSH_AUTH_SOCK", "TERM_SESSION_ID", "XPC_FLAGS", "XPC_SERVICE_NAME", "_",
}

// processEnv returns the environment that templates may see.
func processEnv(environ []string) map[string]string {
	vars := make(map[string]string, len(environ))
	for _, v := range environ {
		if name, value, ok := strings.Cut(v, "="); ok && name != "" && !slices.Contains(unseen[:], name) {
			vars[name] = value
		}
	}
	return vars
}
