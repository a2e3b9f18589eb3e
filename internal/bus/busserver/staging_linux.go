package busserver

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// memoryDir is a directory in memory that every Linux has.
const memoryDir = "/dev/shm"

// StageInMemory has the server stage the batches of a stream in memory. It makes a
// store of its own for each batch, on disk and with half a dozen syncs, and only then
// stores the messages; a batch of ten costs a third without.
//
// The staged copy lets the next start complete a batch that a crash cut in two. In
// memory it is still there after the end of the process, but not after a power cut:
// then a part of the batch may stay, whose sender has no answer. So this is for a
// stream whose batches only share syncs.
//
// The stream must exist. An error says why its batches are staged on disk.
func (s *Server) StageInMemory(stream string) error {
	staging, err := s.stageInMemory(stream)
	if err != nil {
		return fmt.Errorf("stage batches of %s in memory: %w", stream, err)
	}
	s.staging = append(s.staging, staging)
	return nil
}

// staging is a link in the store and the directory in memory that it leads to.
type staging struct{ link, dir string }

func (s *Server) stageInMemory(stream string) (st staging, err error) {
	account, err := accountOf(s.opts.Dir)
	if err != nil {
		return st, err
	}
	home, err := filepath.Abs(filepath.Join(storeDir(s.opts.Dir, account), stream))
	if err != nil {
		return st, err
	}
	if _, err := os.Stat(home); err != nil {
		return st, err
	}
	st.link = filepath.Join(home, "batches")
	// The name is the same at the next start, which finds what a kill leaves behind.
	digest := sha256.Sum256([]byte(home))
	st.dir = filepath.Join(memoryDir, fmt.Sprintf("jet-bus-%d-%x", os.Getuid(), digest[:8]))
	if err := makePrivate(st.dir); err != nil {
		return st, err
	}
	// A directory in which there is something stays.
	err = os.Remove(st.link)
	if err == nil || errors.Is(err, os.ErrNotExist) {
		err = os.Symlink(st.dir, st.link)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(st.dir))
	}
	return st, err
}

// makePrivate makes an empty directory in memory that nobody else can use, in a place
// where others may make some too.
func makePrivate(dir string) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(filepath.Dir(dir), &fs); err != nil {
		return fmt.Errorf("look at %s: %w", filepath.Dir(dir), err)
	}
	if fs.Type != unix.TMPFS_MAGIC {
		return fmt.Errorf("%s is not in memory", filepath.Dir(dir))
	}
	var st unix.Stat_t
	switch err := unix.Lstat(dir, &st); {
	case errors.Is(err, unix.ENOENT):
	case err != nil:
		return fmt.Errorf("look at %s: %w", dir, err)
	case int(st.Uid) != os.Getuid():
		return fmt.Errorf("%s belongs to another user", dir)
	default:
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return os.Mkdir(dir, 0o700)
}

// unstage takes away what StageInMemory made; the server must have ended.
func (s *Server) unstage() error {
	var errs []error
	for _, st := range s.staging {
		errs = append(errs, os.RemoveAll(st.link), os.RemoveAll(st.dir))
	}
	return errors.Join(errs...)
}
