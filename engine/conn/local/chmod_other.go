//go:build !linux

package local

import (
	"io/fs"

	"golang.org/x/sys/unix"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// chmodNoFollow changes the mode of what is no link, even if somebody puts one in
// its place meanwhile: in a directory of theirs, it may lead anywhere.
func chmodNoFollow(path string, mode fs.FileMode) error {
	return unix.Fchmodat(unix.AT_FDCWD, path, conn.PermBits(mode), unix.AT_SYMLINK_NOFOLLOW)
}
