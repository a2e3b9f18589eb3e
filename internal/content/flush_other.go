//go:build !linux

package content

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// flush makes the files below dir durable before the directory gets its final
// name: after a power cut the cache must not hold a bundle of empty files.
func flush(dir string) error {
	return filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close())
	})
}
