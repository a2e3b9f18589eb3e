package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// endState is what a host holds below the directory of the work, by path.
type endState map[string]entry

// entry is one file or directory. Changed is left out when two are compared with same.
type entry struct {
	mode    fs.FileMode
	owner   string
	size    int64
	sum     [sha256.Size]byte
	changed time.Time
}

// look reads the end state below a directory. None at all is an empty state.
func look(dir string) (endState, error) {
	state := endState{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if path == dir && errors.Is(err, fs.ErrNotExist) {
				return fs.SkipAll
			}
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		e := entry{mode: info.Mode()}
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			e.owner = fmt.Sprintf("%d:%d", st.Uid, st.Gid)
		}
		if info.Mode().IsRegular() {
			e.size, e.changed = info.Size(), info.ModTime()
			if e.sum, err = sum(path); err != nil {
				return err
			}
		}
		state[rel] = e
		return nil
	})
	return state, err
}

func sum(path string) (sum [sha256.Size]byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return sum, err
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return sum, err
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

// differences says in what two states differ, times apart, one line a path.
func (s endState) differences(other endState) []string {
	var lines []string
	for _, path := range slices.Sorted(maps.Keys(s)) {
		a, b := s[path], other[path]
		a.changed, b.changed = time.Time{}, time.Time{}
		switch _, ok := other[path]; {
		case !ok:
			lines = append(lines, path+" is missing")
		case a != b:
			lines = append(lines, fmt.Sprintf("%s is %v %s, %d bytes, %.4x and should be %v %s, %d bytes, %.4x",
				path, b.mode, b.owner, b.size, b.sum, a.mode, a.owner, a.size, a.sum))
		}
	}
	for _, path := range slices.Sorted(maps.Keys(other)) {
		if _, ok := s[path]; !ok {
			lines = append(lines, path+" should not be there")
		}
	}
	return lines
}

// touched lists the files that were written between two states.
func (s endState) touched(later endState) []string {
	var paths []string
	for _, path := range slices.Sorted(maps.Keys(s)) {
		if !s[path].changed.Equal(later[path].changed) {
			paths = append(paths, path)
		}
	}
	return paths
}

// states reads the end states of targets.
func (l *lab) states(targets []target) (map[string]endState, error) {
	all := make(map[string]endState, len(targets))
	for _, t := range targets {
		name := t.Name
		if t.Port == manyPort {
			name = "many"
		}
		s, err := look(filepath.Join(l.hostDir(name), t.Base))
		if err != nil {
			return nil, fmt.Errorf("reading what host %s holds: %w", t.Name, err)
		}
		all[t.Name] = s
	}
	return all, nil
}

// complete is how many files and directories the work leaves behind.
const complete = 7

// check compares what hosts hold with what the first tool left there, which it remembers in want.
func check(want, got map[string]endState) error {
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[name]; !ok {
			if len(got[name]) != complete {
				return fmt.Errorf("host %s holds %d files and directories, and not %d", name, len(got[name]), complete)
			}
			want[name] = got[name]
		}
		if d := want[name].differences(got[name]); len(d) > 0 {
			return fmt.Errorf("host %s is not as the first tool left it:\n  %s", name, strings.Join(d, "\n  "))
		}
	}
	return nil
}

// untouched fails when files were written between two states of the same hosts.
func untouched(before, after map[string]endState) error {
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if paths := before[name].touched(after[name]); len(paths) > 0 {
			return fmt.Errorf("the second run wrote again on host %s: %s", name, strings.Join(paths, ", "))
		}
	}
	return nil
}
