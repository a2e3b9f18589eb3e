package modules

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"sync"

	"github.com/jet-bus/jet-bus/engine/conn"
)

const (
	// storeName is the file in a directory that says what was put there.
	storeName = ".jet-installed.json"
	// maxStore is how large that file may be, in bytes.
	maxStore = 64 << 20
	// lookers is how many files are looked at, and written, at a time.
	lookers = 16
)

// store says what modules put into a directory, by where it came from. It makes
// them converge.
type store struct {
	dir string
	// Installed has a member for every archive or release.
	Installed map[string]record `json:"installed"`
}

// record is what came from one place.
type record struct {
	// What says which one it was: a checksum or a version.
	What  string     `json:"what"`
	Files []fileMark `json:"files"`
	// ETag and Modified are what a server said of it, as it said that.
	ETag     string `json:"etag,omitempty"`
	Modified string `json:"modified,omitempty"`
}

// fileMark is how a file was left.
type fileMark struct {
	Path string      `json:"path"`
	Type fs.FileMode `json:"type,omitempty"`
	Size int64       `json:"size,omitempty"`
	// Target is what a symbolic link says.
	Target string `json:"target,omitempty"`
	// Sum is the SHA-256 in hexadecimal digits, where files are checked by it.
	Sum string `json:"sum,omitempty"`
}

// loadStore reads the store of a directory. One that cannot be understood is as
// good as none.
func loadStore(ctx context.Context, c conn.Conn, dir string) (store, error) {
	s := store{dir: dir}
	found, err := c.Inspect(ctx, path.Join(dir, storeName), conn.Look{Content: maxStore, NoFollow: true})
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, fmt.Errorf("reading what was installed: %w", err)
	}
	if !found.Mode.IsRegular() {
		// A link would be followed when it is written.
		return s, fmt.Errorf("%s is no regular file, and what was installed cannot be noted there", path.Join(dir, storeName))
	}
	if json.Unmarshal(found.Content, &s) != nil {
		s.Installed = nil
	}
	// Whoever may write to the directory may have written the file too: it speaks of
	// what is in the directory and of nothing else, or attributes would be given to it.
	maps.DeleteFunc(s.Installed, func(_ string, r record) bool {
		return slices.ContainsFunc(r.Files, func(f fileMark) bool { return !fs.ValidPath(f.Path) })
	})
	return s, nil
}

// note writes down what came from origin. What came from elsewhere and was
// overwritten is forgotten, so that it is put back when it is asked for.
func (s store) note(ctx context.Context, c conn.Conn, origin string, r record) error {
	mine := make(map[string]bool, len(r.Files))
	for _, f := range r.Files {
		mine[f.Path] = !f.Type.IsDir()
	}
	all := map[string]record{origin: r}
	for name, other := range s.Installed {
		if name != origin && !slices.ContainsFunc(other.Files, func(f fileMark) bool { return mine[f.Path] && !f.Type.IsDir() }) {
			all[name] = other
		}
	}
	text, err := json.Marshal(store{Installed: all})
	if err != nil {
		return err
	}
	private := fs.FileMode(0o600)
	name := path.Join(s.dir, storeName)
	if err := c.WriteFile(ctx, name, bytes.NewReader(text), conn.Attr{Mode: &private}); err != nil {
		return fmt.Errorf("noting what was installed: %w", err)
	}
	return nil
}

// forget drops what came from origin, before its files are changed.
func (s store) forget(ctx context.Context, c conn.Conn, origin string) error {
	if _, ok := s.Installed[origin]; !ok {
		return nil
	}
	rest := maps.Clone(s.Installed)
	delete(rest, origin)
	text, err := json.Marshal(store{Installed: rest})
	if err != nil {
		return err
	}
	private := fs.FileMode(0o600)
	return c.WriteFile(ctx, path.Join(s.dir, storeName), bytes.NewReader(text), conn.Attr{Mode: &private})
}

// compare looks at the files of a record. intact is false when one is missing or
// is another one; d holds those whose attributes differ.
func (a attributes) compare(ctx context.Context, c conn.Conn, dir string, files []fileMark) (intact bool, d drift, err error) {
	infos := make([]conn.FileInfo, len(files))
	ok := make([]bool, len(files))
	err = inParallel(ctx, len(files), func(ctx context.Context, i int) error {
		var err error
		infos[i], ok[i], err = files[i].look(ctx, c, dir)
		return err
	})
	if err != nil || slices.Contains(ok, false) {
		return false, drift{}, err
	}
	for i, f := range slices.Backward(files) {
		d.add(path.Join(dir, f.Path), a.forType(f.Type).diff(infos[i]))
	}
	return true, d, nil
}

// look tells whether a file is as it was left.
func (f fileMark) look(ctx context.Context, c conn.Conn, dir string) (conn.FileInfo, bool, error) {
	name := path.Join(dir, f.Path)
	look := conn.Look{NoFollow: true, Sum: f.Sum != "", Size: f.Size}
	found, err := c.Inspect(ctx, name, look)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return conn.FileInfo{}, false, nil
	case err != nil:
		return conn.FileInfo{}, false, err
	case found.Mode.Type() != f.Type.Type():
		return conn.FileInfo{}, false, nil
	case f.Type == 0:
		same := found.Size == f.Size && (f.Sum == "" || hex.EncodeToString(found.Sum) == f.Sum)
		return found.FileInfo, same, nil
	case f.Type == fs.ModeSymlink:
		target, err := c.ReadLink(ctx, name)
		return found.FileInfo, target == f.Target, err
	}
	return found.FileInfo, true, nil
}

// forType returns the attributes for a file of a type: the mode is for regular
// files alone.
func (a attributes) forType(t fs.FileMode) attributes {
	if t != 0 {
		a.Mode.Given = false
	}
	return a
}

// inParallel calls f with 0 to n-1, several at a time, until one fails.
func inParallel(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(n, lookers) {
		wg.Go(func() {
			for i := range next {
				if err := f(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	wg.Wait()
	return context.Cause(ctx)
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
