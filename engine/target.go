package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// noSudo is the user name that switches sudo off.
const noSudo = "none"

// unreachable marks an error of the dialer, whatever its reason.
type unreachable struct{ error }

func (u unreachable) Unwrap() []error { return []error{u.error, conn.ErrUnreachable} }

// connect returns the host's connection as the user of the task. The host is
// dialled when it is first needed.
func (x *execution) connect(ctx context.Context, vars map[string]any) (conn.Conn, error) {
	user, err := x.become(vars)
	if err != nil {
		return nil, fault{err}
	}
	t, err := x.target(vars)
	if err != nil {
		return nil, fault{err}
	}
	c := x.host.conns[t]
	if c == nil {
		if c, err = x.Dialer.Dial(ctx, t); err != nil {
			return nil, unreachable{err}
		}
		x.host.conns[t] = c
	}
	if user == "" {
		return c, nil
	}
	return c.As(ctx, conn.Become{User: user})
}

// disconnect forgets a connection that broke, so that the next use dials anew.
func (x *execution) disconnect(vars map[string]any) {
	t, err := x.target(vars)
	if c := x.host.conns[t]; err == nil && c != nil {
		_ = c.Close()
		delete(x.host.conns, t)
	}
}

// become returns the user to run the task as, empty for the login user.
func (x *execution) become(vars map[string]any) (string, error) {
	user := cmp.Or(x.scope.play.sudo, x.Sudo)
	if x.sudo != nil {
		var err error
		if user, err = x.sudo.render("sudo", vars); err != nil {
			return "", err
		}
	}
	if user == noSudo {
		user = ""
	}
	return user, nil
}

// target reads the variables that say how to reach the host.
func (x *execution) target(vars map[string]any) (conn.Target, error) {
	t := conn.Target{Name: x.host.host.Name}
	var errs []error
	text := func(name string, fallback string) string {
		switch v := vars[name].(type) {
		case nil:
			return fallback
		case string:
			return cmp.Or(v, fallback)
		default:
			errs = append(errs, fmt.Errorf("variable %s must be text", name))
			return ""
		}
	}
	t.Address = text("jet_ssh_hostname", "")
	if x.Local || cmp.Or(t.Address, t.Name) == "localhost" {
		return conn.Target{Name: t.Name, Local: true}, errors.Join(errs...)
	}
	t.User = text("jet_ssh_user", cmp.Or(x.scope.play.sshUser, x.SSHUser))
	t.KeyFile = text("jet_ssh_private_key_file", "")
	t.KeyPassphrase = text("jet_ssh_private_key_passphrase", "")
	t.Password = text("jet_ssh_password", "")
	t.Port = cmp.Or(x.scope.play.sshPort, x.SSHPort)
	if v := vars["jet_ssh_port"]; v != nil {
		port, err := strconv.ParseUint(fmt.Sprint(v), 10, 16)
		if err != nil || port == 0 {
			errs = append(errs, errors.New("variable jet_ssh_port must be a port number, 1 to 65535"))
		}
		t.Port = int(port)
	}
	return t, errors.Join(errs...)
}
