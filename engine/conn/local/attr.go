package local

import (
	"context"
	"fmt"
	"io/fs"
	"os"

	"github.com/jet-bus/jet-bus/engine/conn/files"
)

// special is the bits that a change of owner takes away.
const special = fs.ModeSetuid | fs.ModeSetgid

// SetAttr implements [files.System].
func (s system) SetAttr(ctx context.Context, path string, a files.Attr) error {
	fi, err := s.Stat(ctx, path, !a.NoFollow)
	if err != nil {
		return err
	}
	chown, chmod := os.Chown, os.Chmod
	if a.NoFollow {
		chown, chmod = os.Lchown, chmodNoFollow
	}
	want := a.Over(&fi)
	owned := want.UID == fi.UID && want.GID == fi.GID
	if !owned {
		if err := chown(path, want.UID, want.GID); err != nil {
			return fmt.Errorf("set owner %d and group %d: %w", want.UID, want.GID, bare(err))
		}
	}
	switch {
	case fi.Mode.Type() == fs.ModeSymlink:
		return nil
	case a.Mode != nil, !owned && fi.Mode&special != 0:
		return bare(chmod(path, *want.Mode))
	}
	return nil
}
