package modules

import (
	"context"
	"fmt"
	"io/fs"
	"path"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// maxLinks is how many symbolic links are followed for one path.
const maxLinks = 40

// followLinks returns the path that a file's symbolic links end at, and what is
// there, nil if nothing is.
func followLinks(ctx context.Context, c conn.Conn, name string) (string, *conn.FileInfo, error) {
	for range maxLinks {
		info, err := lstat(ctx, c, name)
		if err != nil || info == nil || info.Mode.Type() != fs.ModeSymlink {
			return name, info, err
		}
		target, err := c.ReadLink(ctx, name)
		if err != nil {
			return "", nil, err
		}
		if !path.IsAbs(target) {
			// Not path.Join: what ".." means is for the host to say.
			target = path.Dir(name) + "/" + target
		}
		name = target
	}
	return "", nil, fmt.Errorf("%s: too many symbolic links", name)
}
