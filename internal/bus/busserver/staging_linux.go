package busserver

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

const (
	// memoryDir is a directory in memory that every Linux has.
	memoryDir = "/dev/shm"
	// memoryRoom is how many bytes must be free there. Batches under way take a
	// third; the rest is since others use it too.
	memoryRoom = 48 << 20
)

// StageInMemory has the server stage the batches of a stream in memory. It makes a
// store of its own for each batch, on disk and with half a dozen syncs, and only then
// stores the messages; a batch of ten costs a third without.
//
// The staged copy lets the next start complete a batch that a crash cut in two. In
// memory it is still there after the end of the process, but not after a power cut:
// then a part of the batch may stay, and who follows the stream may have seen more of
// it. Its sender has no answer in either case. So this is for a stream whose batches
// only share syncs.
//
// The stream must exist. Called again, it mends what was taken away meanwhile, as
// systemd does with what a user who logs out has there. An error says why batches are
// staged on disk from now on.
func (s *Server) StageInMemory(stream string) error {
	if err := s.stageInMemory(stream); err != nil {
		return fmt.Errorf("stage batches of %s in memory: %w", stream, err)
	}
	return nil
}

// staging is a link in the store and the directory in memory that it leads to.
type staging struct{ link, dir string }

func (s *Server) stageInMemory(stream string) error {
	account, err := accountOf(s.opts.Dir)
	if err != nil {
		return err
	}
	home, err := filepath.Abs(filepath.Join(storeDir(s.opts.Dir, account), stream))
	if err != nil {
		return err
	}
	if _, err := os.Stat(home); err != nil {
		return err
	}
	// The name is the same at the next start, which finds what a kill leaves behind.
	digest := sha256.Sum256([]byte(home))
	st := staging{
		link: filepath.Join(home, batchesDir),
		dir:  filepath.Join(memoryDir, fmt.Sprintf("jet-bus-%d-%x", os.Getuid(), digest[:8])),
	}
	s.stagings.Lock()
	defer s.stagings.Unlock()
	if slices.Contains(s.staging, st) {
		return st.mend()
	}
	if err := room(); err != nil {
		return err
	}
	if private(st.dir) {
		if err := os.RemoveAll(st.dir); err != nil {
			return err
		}
	}
	if err := os.Mkdir(st.dir, 0o700); err != nil {
		return err
	}
	// A directory in which there is something stays.
	err = os.Remove(st.link)
	if err == nil || errors.Is(err, os.ErrNotExist) {
		err = os.Symlink(st.dir, st.link)
	}
	if err != nil {
		return errors.Join(err, os.Remove(st.dir))
	}
	s.staging = append(s.staging, st)
	return nil
}

// mend makes anew what is gone. What cannot be is staged on disk.
func (st staging) mend() error {
	err := room()
	if err == nil && !private(st.dir) {
		err = os.Mkdir(st.dir, 0o700)
	}
	_, linked := os.Readlink(st.link)
	switch {
	case err == nil && linked != nil:
		err = os.Symlink(st.dir, st.link)
	case err != nil && linked == nil:
		err = errors.Join(err, os.Remove(st.link))
	}
	return err
}

// room fails if memoryDir is not in memory, or if that is scarce.
func room() error {
	var fs unix.Statfs_t
	if err := unix.Statfs(memoryDir, &fs); err != nil {
		return fmt.Errorf("look at %s: %w", memoryDir, err)
	}
	switch {
	case fs.Type != unix.TMPFS_MAGIC:
		return fmt.Errorf("%s is not in memory", memoryDir)
	case fs.Bavail*uint64(fs.Bsize) < memoryRoom: //nolint:gosec // a block has a positive size
		return fmt.Errorf("%s has no %d MiB left", memoryDir, memoryRoom>>20)
	}
	return nil
}

// private reports whether a directory is there and is ours alone.
func private(dir string) bool {
	var st unix.Stat_t
	err := unix.Lstat(dir, &st)
	return err == nil && int(st.Uid) == os.Getuid() && st.Mode == unix.S_IFDIR|0o700
}

// distrust takes away the links of an earlier process that lead to what is not ours:
// the server would complete a batch from there.
func distrust(dir string) error {
	links, err := filepath.Glob(filepath.Join(storeDir(dir, "*"), "*", batchesDir))
	if err != nil {
		return err
	}
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && !private(to) {
			if err := os.Remove(link); err != nil {
				return err
			}
		}
	}
	return nil
}

// unstage takes away what StageInMemory made; the server must have ended.
func (s *Server) unstage() error {
	s.stagings.Lock()
	defer s.stagings.Unlock()
	var errs []error
	for _, st := range s.staging {
		errs = append(errs, os.RemoveAll(st.link), os.RemoveAll(st.dir))
	}
	return errors.Join(errs...)
}
