package modules

import (
	"context"
	"fmt"
	"strings"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// openRC runs services by rc-service, and starts them at boot by rc-update.
type openRC struct{}

// Exit statuses of a service's status: it is about to run, or waits for something
// to do so.
const (
	openRCStarting = 8
	openRCInactive = 16
)

func (openRC) state(ctx context.Context, c conn.Conn, name string) (active, enabled bool, err error) {
	out, err := ask(ctx, c, "rc-service", "--exists", name)
	if err != nil {
		return false, false, err
	}
	if out.Code != 0 {
		return false, false, fmt.Errorf("the host has no service %s", name)
	}
	if out, err = ask(ctx, c, "rc-service", name, "status"); err != nil {
		return false, false, err
	}
	active = out.Code == 0 || out.Code == openRCStarting || out.Code == openRCInactive
	levels, err := runlevels(ctx, c, name)
	return active, len(levels) > 0, err
}

// runlevels returns those that a service is in.
func runlevels(ctx context.Context, c conn.Conn, name string) ([]string, error) {
	printed, err := runTool(ctx, c, "rc-update", "show")
	if err != nil {
		return nil, err
	}
	for _, line := range lines(printed) {
		// NAME | RUNLEVEL RUNLEVEL
		if service, levels, _ := strings.Cut(line, "|"); strings.TrimSpace(service) == name {
			return strings.Fields(levels), nil
		}
	}
	return nil, nil
}

func (openRC) do(ctx context.Context, c conn.Conn, name, field string) error {
	switch field {
	case fieldEnable:
		return act(ctx, c, nil, "rc-update", "add", name, "default")
	case fieldDisable: // it fails for those that the service is not in
		levels, err := runlevels(ctx, c, name)
		if err != nil {
			return err
		}
		return act(ctx, c, nil, append([]string{"rc-update", "del", name}, levels...)...)
	default:
		return act(ctx, c, nil, "rc-service", name, strings.ToLower(field))
	}
}
