package modules

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// originScript prints what sshd says of the connection that it was started by. Sudo
// takes that out of the environment, but the processes above it still have it.
const originScript = `p=$$
while [ "${p:-0}" -gt 1 ] && [ -r "/proc/$p/environ" ]; do
  c=$(tr '\0' '\n' <"/proc/$p/environ" | sed -n 's/^SSH_CONNECTION=//p')
  [ -z "$c" ] || { printf '%s\n' "$c"; exit 0; }
  p=$(sed -n 's/^PPid:[^0-9]*//p' "/proc/$p/status")
done
exit 0`

// sshOrigin returns where the SSH connection to the host comes from and the port of
// the host that it came to; ok is false when there is none.
func sshOrigin(ctx context.Context, c conn.Conn) (from netip.Addr, port int, ok bool, err error) {
	printed, err := runTool(ctx, c, "/bin/sh", "-c", originScript)
	if err != nil {
		return from, 0, false, fmt.Errorf("looking for the SSH connection: %w", err)
	}
	f := strings.Fields(string(printed))
	if len(f) < 4 {
		return from, 0, false, nil
	}
	from, err = netip.ParseAddr(f[0])
	if err == nil {
		port, err = strconv.Atoi(f[3])
	}
	if err != nil {
		return from, 0, false, fmt.Errorf("looking for the SSH connection: the host says %q", f)
	}
	return from.Unmap().WithZone(""), port, true, nil
}
