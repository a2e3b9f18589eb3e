package modules

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// packEntry is a file of the host that goes into an archive.
type packEntry struct {
	// name is that in the archive, path that on the host.
	name, path string
	info       conn.FileInfo
	// target is what a symbolic link says.
	target string
}

// packScan finds what goes into an archive.
type packScan struct {
	conn    conn.Conn
	exclude []string
	// skip are paths on the host that are left out.
	skip map[string]bool
	// base is the directory that names are relative to.
	base  string
	found map[string]packEntry // by name
}

// run lists what is at the paths and below, sorted by name. Directories are read
// level by level, so that few answers are waited for.
func (s *packScan) run(ctx context.Context, paths []hostPath) ([]packEntry, error) {
	s.base, s.found = commonDir(paths), make(map[string]packEntry)
	var level []string
	for _, p := range paths {
		level = append(level, string(p))
	}
	for top := true; len(level) > 0; top = false {
		dirs, err := s.look(ctx, level, top)
		if err != nil {
			return nil, err
		}
		below := make([][]string, len(dirs))
		err = inParallel(ctx, len(dirs), func(ctx context.Context, i int) error {
			names, err := s.conn.ReadDir(ctx, dirs[i])
			for _, name := range names {
				below[i] = append(below[i], path.Join(dirs[i], name))
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		level = slices.Concat(below...)
	}
	entries := make([]packEntry, 0, len(s.found))
	for _, name := range sortedKeys(s.found) {
		entries = append(entries, s.found[name])
	}
	return entries, nil
}

// look adds what is at the paths and returns those that are directories. What was
// removed meanwhile is passed over, unless it was asked for by name.
func (s *packScan) look(ctx context.Context, paths []string, named bool) ([]string, error) {
	paths = slices.DeleteFunc(paths, func(p string) bool { return s.skip[p] || s.excluded(s.name(p)) })
	if len(s.found)+len(paths) > maxEntries {
		return nil, fmt.Errorf("there are more than %d files to archive", maxEntries)
	}
	found := make([]packEntry, len(paths))
	err := inParallel(ctx, len(paths), func(ctx context.Context, i int) error {
		info, err := s.conn.Lstat(ctx, paths[i])
		if errors.Is(err, fs.ErrNotExist) && !named {
			return nil
		}
		if err != nil {
			return err
		}
		e := packEntry{name: s.name(paths[i]), path: paths[i], info: info}
		if info.Mode.Type() == fs.ModeSymlink {
			e.target, err = s.conn.ReadLink(ctx, e.path)
		}
		found[i] = e
		return err
	})
	if err != nil {
		return nil, err
	}
	var dirs []string
	for _, e := range found {
		if e.name == "" {
			continue
		}
		switch e.info.Mode.Type() {
		case fs.ModeDir:
			if _, again := s.found[e.name]; !again {
				dirs = append(dirs, e.path)
			}
		case 0, fs.ModeSymlink:
		default:
			continue // it has no content to keep
		}
		s.found[e.name] = e
	}
	return dirs, nil
}

func (s *packScan) name(p string) string {
	return strings.TrimPrefix(strings.TrimPrefix(p, s.base), "/")
}

// excluded tells whether a pattern matches a name, or what the modules note for
// themselves has it.
func (s *packScan) excluded(name string) bool {
	last := path.Base(name)
	return last == storeName || slices.ContainsFunc(s.exclude, func(pattern string) bool {
		of := last
		if strings.Contains(pattern, "/") {
			of = name
		}
		ok, err := path.Match(pattern, of)
		return ok && err == nil
	})
}

// commonDir returns the deepest directory that holds all paths.
func commonDir(paths []hostPath) string {
	common := path.Dir(string(paths[0]))
	for _, p := range paths[1:] {
		for common != "/" && !strings.HasPrefix(string(p), common+"/") {
			common = path.Dir(common)
		}
	}
	return common
}
