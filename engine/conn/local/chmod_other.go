//go:build !linux

package local

import (
	"io/fs"

	"golang.org/x/sys/unix"
)

// chmodNoFollow changes the mode of what is no link, even if somebody puts one in
// its place meanwhile: in a directory of theirs, it may lead anywhere.
func chmodNoFollow(path string, mode fs.FileMode) error {
	bits := uint32(mode & fs.ModePerm)
	for flag, bit := range map[fs.FileMode]uint32{
		fs.ModeSetuid: unix.S_ISUID, fs.ModeSetgid: unix.S_ISGID, fs.ModeSticky: unix.S_ISVTX,
	} {
		if mode&flag != 0 {
			bits |= bit
		}
	}
	return unix.Fchmodat(unix.AT_FDCWD, path, bits, unix.AT_SYMLINK_NOFOLLOW)
}
