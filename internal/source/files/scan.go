package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"
)

// most is how many files a source knows at the most.
const most = 10_000

// stat is what tells one state of a file from another.
type stat struct {
	size     int64
	modified int64 // Unix time in nanoseconds
	inode    uint64
}

// place tells one directory from another that stands in its place: of another file
// system, or made anew.
type place struct {
	Device uint64 `json:"device"`
	Inode  uint64 `json:"inode"`
}

// sight is what one look at the directory found.
type sight struct {
	at    place
	files map[string]stat
	// unsure are the files and directories that could not be looked at; nothing can be
	// said of what is there.
	unsure map[string]error
	// odd are files with names that no event can have.
	odd []string
	// more is true if there are more new files than one look takes.
	more bool
}

// hides reports whether a path lies where nothing could be seen.
func (s *sight) hides(p string) bool {
	if len(s.unsure) == 0 {
		return false
	}
	for ; p != "."; p = path.Dir(p) {
		if _, is := s.unsure[p]; is {
			return true
		}
	}
	return false
}

// scan looks at everything below root. It takes in all files that are known, and of
// the others as many as there may be.
func (d *directory) scan(ctx context.Context, root *os.Root, known map[string]mark) (*sight, error) {
	s := &sight{files: make(map[string]stat), unsure: make(map[string]error)}
	info, err := root.Stat(".")
	if err != nil {
		return nil, err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		s.at = place{Device: uint64(st.Dev), Inode: st.Ino} //nolint:unconvert // its type differs between systems
	}
	unknown := 0
	for todo := []string{"."}; len(todo) > 0; {
		dir := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		err := each(ctx, root, dir, func(e fs.DirEntry) {
			name := path.Join(dir, e.Name())
			switch {
			case passedOver(e.Name()):
			case e.IsDir():
				if d.recursive && told(name) == nil {
					todo = append(todo, name)
				}
			case d.match != "" && !matches(d.match, e.Name()):
			case e.Type() != 0 && e.Type() != fs.ModeSymlink:
			case told(name) != nil:
				s.odd = append(s.odd, name)
			default:
				if _, is := known[name]; !is {
					if unknown++; unknown > most {
						s.more = true
						return
					}
				}
				s.add(root, name, e.Type() == fs.ModeSymlink)
			}
		})
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case err != nil && dir == ".":
			return nil, err
		case err != nil && !errors.Is(err, fs.ErrNotExist): // gone since it was listed
			s.unsure[dir] = err
		}
	}
	return s, nil
}

// add takes in a file, if it is one.
func (s *sight) add(root *os.Root, name string, link bool) {
	info, err := root.Stat(name)
	switch {
	case err == nil && info.Mode().IsRegular():
		s.files[name] = statOf(info)
	case err == nil || link || errors.Is(err, fs.ErrNotExist):
		// No file, a link that leads nowhere or out of the directory, or gone.
	default:
		s.unsure[name] = err
	}
}

func statOf(info fs.FileInfo) stat {
	s := stat{size: info.Size(), modified: info.ModTime().UnixNano()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		s.inode = st.Ino
	}
	return s
}

// each calls do with each entry of a directory. A large one is not read at once.
func each(ctx context.Context, root *os.Root, dir string, do func(fs.DirEntry)) error {
	f, err := root.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // it was only read
	for ctx.Err() == nil {
		entries, err := f.ReadDir(1000)
		for _, e := range entries {
			do(e)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

func matches(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return err == nil && ok
}

// passedOver reports whether a name is one that programs give to what is not ready.
func passedOver(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasSuffix(name, "~") || strings.HasSuffix(name, ".tmp") || strings.HasSuffix(name, ".part")
}

// told reports what keeps a path out of events.
func told(p string) error {
	if !utf8.ValidString(p) || strings.ContainsFunc(p, unicode.IsControl) {
		return fmt.Errorf("the name %q is not UTF-8, or has control characters", p)
	}
	return nil
}
