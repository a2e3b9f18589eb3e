package content

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Fingerprint returns a text that changes when something changes that [Build] would bundle: a name, a size, a mode, a
// time of change, or where dir leads to if it is a link. It opens no file, so it is cheap enough to be asked for again
// and again, also over a network.
func Fingerprint(ctx context.Context, dir string) (string, error) {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", fmt.Errorf("looking at %s: %w", dir, cause(err))
	}
	sum := sha256.New()
	_, _ = fmt.Fprintf(sum, "%q\n", real)
	err = fs.WalkDir(os.DirFS(real), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if name != "." && skipped(d.Name()) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.IsDir() {
			return nil // what is in it tells
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(sum, "%q %d %o %d\n", name, info.Size(), info.Mode(), info.ModTime().UnixNano())
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("looking at %s: %w", dir, err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
