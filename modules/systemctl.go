package modules

import (
	"context"
	"fmt"
	"strings"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// systemctl runs the program of that name, for the system or for a user.
type systemctl struct {
	user bool
	env  map[string]string
}

// newSystemctl returns systemctl for a scope. A user's systemd is found by a
// directory that only a login would name.
func newSystemctl(ctx context.Context, c conn.Conn, scope unitScope) (systemctl, error) {
	if scope != "user" {
		return systemctl{}, nil
	}
	printed, err := runTool(ctx, c, "id", "-u")
	if err != nil {
		return systemctl{}, err
	}
	return systemctl{user: true, env: map[string]string{"XDG_RUNTIME_DIR": "/run/user/" + strings.TrimSpace(text(printed))}}, nil
}

func (s systemctl) command(args ...string) []string {
	if s.user {
		return append([]string{"systemctl", "--user"}, args...)
	}
	return append([]string{"systemctl"}, args...)
}

// unitProperties are what is asked of a unit.
const unitProperties = "LoadState,ActiveState,SubState,UnitFileState,NeedDaemonReload,CanReload,SourcePath,Type,Result,NRestarts"

// show returns what systemd knows of a unit.
func (s systemctl) show(ctx context.Context, c conn.Conn, unit string) (map[string]string, error) {
	argv := s.command("show", "--no-pager", "--property="+unitProperties, "--", unit)
	out, err := s.ask(ctx, c, argv)
	if err != nil {
		return nil, err
	}
	if out.Code != 0 {
		return nil, s.wrong(c, argv, out)
	}
	known := make(map[string]string)
	for _, line := range lines(out.Stdout) {
		if k, v, ok := strings.Cut(line, "="); ok {
			known[k] = v
		}
	}
	// The unit of an init script is generated; what enables it are the script's links.
	if known["UnitFileState"] == "generated" && strings.HasPrefix(known["SourcePath"], "/etc/init.d/") {
		out, err := s.ask(ctx, c, s.command("is-enabled", "--", unit))
		if err != nil {
			return nil, err
		}
		known["UnitFileState"] = "disabled"
		if out.Code == 0 {
			known["UnitFileState"] = "enabled"
		}
	}
	return known, nil
}

func (s systemctl) ask(ctx context.Context, c conn.Conn, argv []string) (conn.Output, error) {
	out, err := c.Run(ctx, conn.Cmd{Argv: argv, Env: s.env, ReadOnly: true})
	if err != nil {
		return out, fmt.Errorf("running systemctl: %w", err)
	}
	if out.Code == 127 || out.Code == 126 {
		return out, toolError(argv, out)
	}
	return out, nil
}

// act does something to units.
func (s systemctl) act(ctx context.Context, c conn.Conn, args ...string) error {
	return act(ctx, c, s.env, s.command(args...)...)
}

// wrong is the failure of systemctl to answer.
func (s systemctl) wrong(c conn.Conn, argv []string, out conn.Output) error {
	err := toolError(argv, out)
	switch said := text(out.Stderr); {
	case !strings.Contains(said, "Failed to connect to bus") && !strings.Contains(said, "not been booted with systemd"):
		return err
	case s.user:
		return fmt.Errorf("no systemd of user %s runs on the host: log in as that user, or let it linger (loginctl enable-linger): %w", c.User(), err)
	default:
		return fmt.Errorf("systemd does not run on the host: %w", err)
	}
}
