package modules

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
)

// treeCopy is a directory of this machine with all that is in it, to be copied to a
// directory of the host.
type treeCopy struct {
	dest    string
	entries []treeEntry // those above before those below
	// attrs holds owner and group of everything; the modes are apart.
	attrs             attributes
	fileMode, dirMode engine.Mode
	// prune takes away what the directories of the host hold besides.
	prune bool

	// What survey found: what is there, by entry; which entries are to be written,
	// which only need their attributes; and paths that are to be removed.
	there       []*conn.Inspection
	write, mend []int
	remove      []string
	fields      []string
}

// treeEntry is a file of a tree.
type treeEntry struct {
	// path is relative; that of the top is ".".
	path string
	// mode holds the type and the permission bits.
	mode fs.FileMode
	// content is that of a regular file, target what a symbolic link says.
	content content
	target  string
}

// readTree lists a directory of this machine.
func readTree(ctx context.Context, root string) ([]treeEntry, error) {
	root, err := filepath.EvalSymlinks(root)
	if err != nil {
		return nil, err
	}
	var entries []treeEntry
	err = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if len(entries) == maxEntries {
			return fmt.Errorf("%s holds more than %d files", root, maxEntries)
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		e := treeEntry{mode: info.Mode() & (fs.ModeType | fs.ModePerm)}
		if e.path, err = filepath.Rel(root, name); err != nil {
			return err
		}
		switch e.mode.Type() {
		case 0:
			e.content, err = localContent(name)
		case fs.ModeSymlink:
			e.target, err = os.Readlink(name)
		case fs.ModeDir:
		default:
			err = fmt.Errorf("%s is neither a file, a directory nor a link, and cannot be copied", name)
		}
		entries = append(entries, e)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the source: %w", err)
	}
	return entries, nil
}

func (t *treeCopy) at(e treeEntry) string { return path.Join(t.dest, e.path) }

// attributes returns what an entry shall have. A directory that is there keeps its
// mode unless one is asked for: it may be the host's own, such as /etc.
func (t *treeCopy) attributes(i int) attributes {
	a, e := t.attrs, t.entries[i]
	kept := engine.Mode{Perm: e.mode.Perm(), Given: true}
	switch e.mode.Type() {
	case 0:
		if a.Mode = t.fileMode; !a.Mode.Given {
			a.Mode = kept
		}
	case fs.ModeDir:
		if a.Mode = t.dirMode; !a.Mode.Given && (t.there[i] == nil || !t.there[i].Mode.IsDir()) {
			a.Mode = kept
		}
	}
	return a
}

// query says what is to be done so that dest holds the tree.
func (t *treeCopy) query(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	t.there = make([]*conn.Inspection, len(t.entries))
	t.write, t.mend, t.remove, t.fields = nil, nil, nil, nil
	if err := t.look(ctx, h.Conn, 0); err != nil {
		return engine.Plan{}, err
	}
	if t.there[0] != nil {
		err := inParallel(ctx, len(t.entries)-1, func(ctx context.Context, i int) error { return t.look(ctx, h.Conn, i+1) })
		if err != nil {
			return engine.Plan{}, err
		}
	}
	t.forgetBehind()
	var d drift
	var faults []error
	for i, e := range t.entries {
		same, err := t.same(ctx, h, i)
		switch {
		case err != nil && len(faults) < maxFaults:
			faults = append(faults, err)
		case err != nil:
		case !same:
			t.write = append(t.write, i)
		default:
			if fields := t.attributes(i).diff(t.there[i].FileInfo); len(fields) > 0 {
				t.mend = append(t.mend, i)
				d.add(t.at(e), fields)
			}
		}
	}
	if len(faults) > 0 {
		return engine.Plan{}, errors.Join(faults...)
	}
	if err := t.strangers(ctx, h.Conn); err != nil {
		return engine.Plan{}, err
	}
	if len(t.write)+len(t.remove) > 0 {
		t.fields = append(t.fields, fieldContent)
	}
	t.fields = append(t.fields, d.fields...)
	plan := engine.Plan{Need: engine.Modify, Fields: t.fields}
	switch {
	case t.there[0] == nil:
		plan = engine.Plan{Need: engine.Create}
	case len(t.fields) == 0:
		plan = engine.Plan{Need: engine.Matched}
	}
	var err error
	plan.Diffs, err = t.diffs(ctx, h)
	return plan, err
}

// look finds out what is where an entry belongs. The top may be a symbolic link to
// a directory.
func (t *treeCopy) look(ctx context.Context, c conn.Conn, i int) error {
	e := t.entries[i]
	look := conn.Look{NoFollow: i > 0, Sum: e.mode.IsRegular(), Size: e.content.size}
	found, err := c.Inspect(ctx, t.at(e), look)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	t.there[i] = &found
	return nil
}

// forgetBehind drops what was found by way of a link in the place of a directory: it
// is elsewhere.
func (t *treeCopy) forgetBehind() {
	dirs := make(map[string]bool)
	for i, e := range t.entries {
		if i > 0 && !dirs[path.Dir(e.path)] {
			t.there[i] = nil
		}
		dirs[e.path] = t.there[i] != nil && t.there[i].Mode.IsDir()
	}
}

// same tells whether what is on the host is the entry, but for its attributes. What
// would not simply be replaced is an error, unless all that is not in the tree
// shall go.
func (t *treeCopy) same(ctx context.Context, h *engine.Host, i int) (bool, error) {
	e, found := t.entries[i], t.there[i]
	if found == nil {
		return false, nil
	}
	is, want := found.Mode.Type(), e.mode.Type()
	switch {
	case is != want && (is == fs.ModeDir || want == fs.ModeDir) && (!t.prune || i == 0):
		return false, fmt.Errorf("%s is in the way: it is %s on the host and %s in src", t.at(e), kindOf(is), kindOf(want))
	case is != want:
		return false, nil
	case want == 0:
		return e.content.matches(ctx, h, *found)
	case want == fs.ModeSymlink:
		target, err := h.Conn.ReadLink(ctx, t.at(e))
		return target == e.target, err
	}
	return true, nil
}

// kindOf names a type of file.
func kindOf(t fs.FileMode) string {
	switch t {
	case 0:
		return "a file"
	case fs.ModeDir:
		return "a directory"
	case fs.ModeSymlink:
		return "a symbolic link"
	}
	return "no file"
}

// strangers finds what the host's directories hold and the tree does not.
func (t *treeCopy) strangers(ctx context.Context, c conn.Conn) error {
	if !t.prune {
		return nil
	}
	known := make(map[string]bool, len(t.entries))
	var dirs []string
	for i, e := range t.entries {
		known[e.path] = true
		if e.mode.IsDir() && t.there[i] != nil && t.there[i].Mode.IsDir() {
			dirs = append(dirs, e.path)
		}
	}
	found := make([][]string, len(dirs))
	err := inParallel(ctx, len(dirs), func(ctx context.Context, i int) error {
		names, err := c.ReadDir(ctx, path.Join(t.dest, dirs[i]))
		for _, name := range names {
			if p := path.Join(dirs[i], name); !known[p] {
				found[i] = append(found[i], p)
			}
		}
		return err
	})
	t.remove = slices.Sorted(slices.Values(slices.Concat(found...)))
	return err
}

// apply carries out what query found.
func (t *treeCopy) apply(ctx context.Context, c conn.Conn) (engine.Result, error) {
	if err := t.clear(ctx, c); err != nil {
		return engine.Result{}, err
	}
	shut, err := t.makeDirs(ctx, c)
	if err != nil {
		return engine.Result{}, err
	}
	err = inParallel(ctx, len(t.write), func(ctx context.Context, n int) error { return t.put(ctx, c, t.write[n]) })
	if err != nil {
		return engine.Result{}, err
	}
	// What is in a directory before the directory: its mode may shut us out.
	for _, i := range slices.Backward(slices.Sorted(slices.Values(slices.Concat(t.mend, shut)))) {
		a := t.attributes(i).attr()
		a.NoFollow = i > 0 // the top may be a link to a directory
		if err := c.SetAttr(ctx, t.at(t.entries[i]), a); err != nil {
			return engine.Result{}, err
		}
	}
	return engine.Result{Data: map[string]any{"written": int64(len(t.write)), "removed": int64(len(t.remove))}}, nil
}

// clear takes away what does not belong there, or is of another type than what
// does.
func (t *treeCopy) clear(ctx context.Context, c conn.Conn) error {
	gone := slices.Clone(t.remove)
	for _, i := range t.write {
		if found := t.there[i]; found != nil && (found.Mode.Type() != 0 || !t.entries[i].mode.IsRegular()) {
			gone = append(gone, t.entries[i].path)
		}
	}
	return inParallel(ctx, len(gone), func(ctx context.Context, i int) error {
		return c.RemoveAll(ctx, path.Join(t.dest, gone[i]))
	})
}

// makeDirs makes the directories that are missing, and returns those whose mode is
// to be set once they are filled.
func (t *treeCopy) makeDirs(ctx context.Context, c conn.Conn) (shut []int, err error) {
	levels := make(map[int][]int)
	for _, i := range t.write {
		e := t.entries[i]
		if !e.mode.IsDir() {
			continue
		}
		depth := strings.Count(path.Join("/", e.path), "/")
		if i == 0 {
			depth = 0
		}
		levels[depth] = append(levels[depth], i)
		if t.attributes(i).Mode.Perm&0o700 != 0o700 {
			shut = append(shut, i)
		}
	}
	for _, depth := range sortedKeys(levels) {
		level := levels[depth]
		err := inParallel(ctx, len(level), func(ctx context.Context, n int) error {
			a := t.attributes(level[n])
			a.Mode.Perm |= 0o700
			return makeDir(ctx, c, t.at(t.entries[level[n]]), a.attr())
		})
		if err != nil {
			return nil, err
		}
	}
	return shut, nil
}

// put writes a file or makes a link.
func (t *treeCopy) put(ctx context.Context, c conn.Conn, i int) error {
	e := t.entries[i]
	a := t.attributes(i).attr()
	switch e.mode.Type() {
	case fs.ModeDir:
		return nil
	case fs.ModeSymlink:
		err := c.Symlink(ctx, e.target, t.at(e))
		if err != nil || a == (conn.Attr{}) {
			return err
		}
		a.NoFollow = true
		return c.SetAttr(ctx, t.at(e), a)
	}
	r, err := e.content.open()
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	return c.WriteFile(ctx, t.at(e), untilDone(ctx, r), a)
}
