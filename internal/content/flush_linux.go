package content

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// flush makes the files below dir durable before the directory gets its final
// name: after a power cut the cache must not hold a bundle of empty files. One
// call for the file system costs far less than one for each file.
func flush(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close() //nolint:errcheck // only read from
	if err := unix.Syncfs(int(d.Fd())); err != nil {
		return fmt.Errorf("flushing %s: %w", dir, err)
	}
	return nil
}
