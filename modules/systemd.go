package modules

import (
	"context"
	"errors"
	"io/fs"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// hasSystemd tells whether the host was booted with systemd.
func hasSystemd(ctx context.Context, c conn.Conn) (bool, error) {
	_, err := c.Stat(ctx, "/run/systemd/system")
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
