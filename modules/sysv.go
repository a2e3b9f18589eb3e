package modules

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/internal/lazyregexp"
)

// sysV runs services by the scripts in /etc/init.d, and starts them at boot by
// links to them, as Debian's update-rc.d makes them.
type sysV struct{}

// bootLink matches the name of a link that starts a service.
var bootLink = lazyregexp.New(`^S[0-9][0-9](.+)$`)

// sysVUnknown is what a script's status exits with when it cannot tell, and above
// it are failures. Zero says that the service runs, the others that it does not.
const sysVUnknown = 4

func (sysV) state(ctx context.Context, c conn.Conn, name string) (active, enabled bool, err error) {
	info, err := c.Stat(ctx, "/etc/init.d/"+name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode.IsRegular() {
		return false, false, fmt.Errorf("the host has no init script %s", name)
	}
	if err != nil {
		return false, false, err
	}
	argv := []string{"service", name, "status"}
	out, err := ask(ctx, c, argv...)
	switch {
	case err != nil:
		return false, false, err
	case out.Code >= sysVUnknown:
		return false, false, fmt.Errorf("asking the init script %s for its status: %w", name, toolError(argv, out))
	}
	for _, dir := range []string{"/etc/rc2.d", "/etc/rc3.d", "/etc/rc5.d", "/etc/rcS.d"} {
		links, err := c.ReadDir(ctx, dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, false, err
		}
		for _, link := range links {
			m := bootLink().FindStringSubmatch(link)
			enabled = enabled || m != nil && m[1] == name
		}
	}
	return out.Code == 0, enabled, nil
}

func (sysV) do(ctx context.Context, c conn.Conn, name, field string) error {
	switch field {
	case fieldEnable: // where links are, defaults leaves them as they are
		if err := act(ctx, c, nil, "update-rc.d", name, "defaults"); err != nil {
			return err
		}
		return act(ctx, c, nil, "update-rc.d", name, "enable")
	case fieldDisable:
		return act(ctx, c, nil, "update-rc.d", name, "disable")
	default:
		return act(ctx, c, nil, "service", name, strings.ToLower(field))
	}
}
