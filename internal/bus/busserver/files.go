package busserver

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// WriteFile writes a file that only its owner can read, all of it or nothing, and
// durably: when it returns nil, a power cut leaves the new content, else the old.
func WriteFile(name string, data []byte) error { return writeSecret(name, data) }

// writeSecret writes a file only its owner can read, all of it or nothing, and
// durably: losing a key after using it would lock everyone out.
func writeSecret(name string, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), ".new-*") // mode 0600
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
			err = fmt.Errorf("write %s: %w", name, err)
		}
	}()
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return err
	}
	return syncDir(filepath.Dir(name))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// lockDir takes the data directory for this process. Closing the file gives it
// back; so does the end of the process, however it comes.
func lockDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open data directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open data directory %s: %w", dir, err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("data directory %s is used by another jet-bus", dir)
		}
		return nil, fmt.Errorf("lock data directory %s: %w", dir, err)
	}
	return f, nil
}

// writeCreds writes the credentials people and runners start with, those that
// are not there yet.
func writeCreds(dir string, k *Keys) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("write credentials: %w", err)
	}
	for _, role := range []Role{RoleAdmin, RoleRunner, RolePublisher, RoleViewer} {
		name := filepath.Join(dir, string(role)+".creds")
		switch _, err := os.Stat(name); {
		case err == nil:
			continue
		case !errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("write credentials: %w", err)
		}
		creds, err := k.Issue(role, string(role), 0)
		if err != nil {
			return err
		}
		if err := writeSecret(name, creds); err != nil {
			return err
		}
	}
	return nil
}
