package modules

import (
	"context"
	"crypto/rand"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// scratch makes a folder in a directory of the host that only the task's user can
// enter, lets something be done with it, and takes it away, also when the run is
// stopped. what it is for is named in errors.
func scratch(ctx context.Context, c conn.Conn, in, what string, do func(dir string) error) (err error) {
	private := fs.FileMode(0o700)
	dir := path.Join(in, "jet-"+strings.ToLower(rand.Text()))
	if err := c.Mkdir(ctx, dir, conn.Attr{Mode: &private}); err != nil {
		return fmt.Errorf("making a folder for %s: %w", what, err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
		defer cancel()
		if rerr := c.RemoveAll(ctx, dir); rerr != nil && err == nil {
			err = fmt.Errorf("taking %s away: %w", what, rerr)
		}
	}()
	return do(dir)
}
