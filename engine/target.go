package engine

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// localhost is the name of this machine.
const localhost = "localhost"

// place is where a task runs: on its own host, or on the one that it is delegated
// to. The zero place with a name is this machine.
type place struct {
	name string
	// vars say how to reach it.
	vars map[string]any
	// delegated is true when it is another host than the task's own.
	delegated bool
	// local selects this machine.
	local bool
}

// place says where the task runs.
func (x *execution) place(vars map[string]any) (*place, error) {
	own := x.host.host.Name
	at := &place{name: own, vars: vars}
	if x.set.delegateTo == nil {
		return at, nil
	}
	name, err := x.set.delegateTo.render("delegate_to", vars)
	if err != nil || name == own {
		return at, err
	}
	at = &place{name: name, delegated: true}
	h, known := x.inv.Host(name)
	switch {
	case known:
		at.vars = blend(x.scope, x.inv.Vars(h), nil, x.ExtraVars)
	case name == localhost:
		at.local = true
	default:
		return nil, x.set.delegateTo.Errorf("delegate_to: there is no host %q in the inventory", name)
	}
	return at, nil
}

// text reads a variable that must be text.
func (at *place) text(name, fallback string) (string, error) {
	switch v := at.vars[name].(type) {
	case nil:
		return fallback, nil
	case string:
		return cmp.Or(v, fallback), nil
	default:
		return "", fmt.Errorf("variable %s must be text", name)
	}
}

// target reads the variables that say how to reach the place.
func (x *execution) target(at *place) (conn.Target, error) {
	t := conn.Target{Name: at.name}
	var errs []error
	text := func(name string, fallback string) string {
		s, err := at.text(name, fallback)
		errs = append(errs, err)
		return s
	}
	t.Address = text("jet_ssh_hostname", "")
	if x.Local || at.local || cmp.Or(t.Address, t.Name) == localhost {
		if at.delegated && !x.Local && !x.LocalDelegation {
			errs = append(errs, x.set.delegateTo.Errorf(
				"delegate_to: %s is this machine, and tasks may only be delegated to it with --allow-localhost-delegation", at.name))
		}
		return conn.Target{Name: t.Name, Local: true}, errors.Join(errs...)
	}
	pl := x.scope.play
	t.User = text("jet_ssh_user", cmp.Or(pl.sshUser, x.SSHUser))
	t.KeyFile = text("jet_ssh_private_key_file", "")
	t.KeyPassphrase = text("jet_ssh_private_key_passphrase", "")
	t.KeyComment = text("jet_ssh_key_comment", "")
	t.Password = text("jet_ssh_password", x.LoginPassword)
	t.Jump = text("jet_ssh_jump", cmp.Or(pl.sshJump, x.Jump))
	t.Port = cmp.Or(pl.sshPort, x.SSHPort)
	if v := at.vars["jet_ssh_port"]; v != nil {
		port, err := strconv.ParseUint(fmt.Sprint(v), 10, 16)
		if err != nil || port == 0 {
			errs = append(errs, errors.New("variable jet_ssh_port must be a port number, 1 to 65535"))
		}
		t.Port = int(port)
	}
	return t, errors.Join(errs...)
}
