package busserver

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// SyncMeta has the files that describe streams and consumers outlast a power cut. The
// server does that only for the streams whose messages it syncs; of the others it
// leaves a stream that the next start takes for damaged.
func SyncMeta(data string) error {
	err := filepath.WalkDir(filepath.Join(data, "js"), func(name string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // a block, or a consumer, that went meanwhile
			return nil
		case err != nil:
			return err
		case d.IsDir():
			err = syncDir(name)
		case d.Name() == "meta.inf" || d.Name() == "meta.sum":
			err = syncFile(name)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("sync what describes the streams: %w", err)
	}
	return nil
}

func syncFile(name string) error {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
