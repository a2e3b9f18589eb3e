package local

import (
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// chmodNoFollow changes the mode of what is no link, even if somebody puts one in
// its place meanwhile: in a directory of theirs, it may lead anywhere.
func chmodNoFollow(path string, mode fs.FileMode) error {
	// Such a file is not open for anything, so any file will do.
	f, err := os.OpenFile(path, unix.O_PATH|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	return os.Chmod("/proc/self/fd/"+strconv.Itoa(int(f.Fd())), mode)
}
