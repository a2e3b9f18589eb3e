package modules

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// backupLayout is the time in the name of a backup, in UTC.
const backupLayout = "20060102T150405Z"

// backupPath returns a path beside name where nothing is yet: the name, a dot
// and the time, and a number where the second has seen a backup already.
func backupPath(ctx context.Context, c conn.Conn, name string, now time.Time) (string, error) {
	path := name + "." + now.UTC().Format(backupLayout)
	for n := 2; ; n++ {
		_, err := c.Lstat(ctx, path)
		if errors.Is(err, fs.ErrNotExist) {
			return path, nil
		}
		if err != nil {
			return "", fmt.Errorf("choosing a name for the backup: %w", err)
		}
		path = fmt.Sprintf("%s.%s-%d", name, now.UTC().Format(backupLayout), n)
	}
}

// keep returns the attributes of a file that is there, for a copy of it.
func keep(info conn.FileInfo) conn.Attr {
	mode := info.Mode & permBits
	return conn.Attr{Mode: &mode, Owner: fmt.Sprint(info.UID), Group: fmt.Sprint(info.GID)}
}

// backUp keeps a copy of a file beside it and returns the copy's path.
func backUp(ctx context.Context, c conn.Conn, name string, had conn.FileInfo) (string, error) {
	to, err := backupPath(ctx, c, name, time.Now())
	if err == nil {
		err = c.Copy(ctx, name, to, keep(had))
	}
	if err != nil {
		return "", fmt.Errorf("keeping a backup: %w", err)
	}
	return to, nil
}
