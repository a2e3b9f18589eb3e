package modules

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"sync"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// smallFile is the size up to which files are written several at a time, each
// held in memory meanwhile.
const smallFile = 512 << 10

// extraction writes what an archive holds to a directory of the host.
type extraction struct {
	conn    conn.Conn
	dest    string
	attrs   attributes
	archive *archive
	list    listing
	// begin is called once nothing speaks against writing.
	begin func(context.Context) error
	// there is what the host has at the paths of the listing.
	there map[string]conn.FileInfo
}

// run checks the whole archive, looks at what is on the host, and only then
// writes. It returns what it wrote.
func (x *extraction) run(ctx context.Context) ([]fileMark, error) {
	var err error
	if x.list, err = x.archive.list(ctx); err != nil {
		return nil, fmt.Errorf("nothing was unpacked: %w", err)
	}
	for _, step := range []func(context.Context) error{x.survey, x.begin, x.makeDirs, x.writeFiles, x.writeLinks, x.finishDirs} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	var marks []fileMark
	for _, p := range sortedKeys(x.list) {
		e := x.list[p]
		if e.copyOf != "" {
			e.size = x.list[e.copyOf].size
		}
		marks = append(marks, fileMark{Path: p, Type: e.mode.Type(), Size: e.size, Target: e.target})
	}
	return marks, nil
}

// survey finds what stands in the way on the host, before anything is written.
// A directory that is a symbolic link there does too: it may lead anywhere.
func (x *extraction) survey(ctx context.Context) error {
	paths := x.list.dirs()
	isDir := make(map[string]bool, len(paths))
	for _, p := range paths {
		isDir[p] = true
	}
	for _, p := range sortedKeys(x.list) {
		if !isDir[p] {
			paths = append(paths, p)
		}
	}
	found := make([]*conn.FileInfo, len(paths))
	err := inParallel(ctx, len(paths), func(ctx context.Context, i int) error {
		var err error
		found[i], err = lstat(ctx, x.conn, path.Join(x.dest, paths[i]))
		return err
	})
	if err != nil {
		return err
	}
	x.there = make(map[string]conn.FileInfo)
	var errs []error
	for i, info := range found {
		p := paths[i]
		switch {
		case info == nil:
			continue
		case isDir[p] && info.Mode.Type() == fs.ModeSymlink:
			errs = append(errs, fmt.Errorf("%s is a symbolic link, and nothing is unpacked through it", path.Join(x.dest, p)))
		case isDir[p] != info.Mode.IsDir():
			errs = append(errs, fmt.Errorf("%s is in the way: it is %s on the host and not in the archive",
				path.Join(x.dest, p), map[bool]string{true: "a directory", false: "no directory"}[info.Mode.IsDir()]))
		}
		if len(errs) == maxFaults {
			break
		}
		x.there[p] = *info
	}
	if len(errs) > 0 {
		return fmt.Errorf("nothing was unpacked: %w", errors.Join(errs...))
	}
	return nil
}

// attr returns the attributes for an entry of that type and mode. Setuid, setgid
// and sticky bits of an archive are not taken over, nor is a permission to write
// for others.
func (x *extraction) attr(mode fs.FileMode) conn.Attr {
	a := x.attrs.forType(mode.Type()).attr()
	if a.Mode == nil && mode.Type() != fs.ModeSymlink {
		perm := mode.Perm()&^0o022 | 0o600
		if mode.IsDir() {
			perm |= 0o700
		}
		a.Mode = &perm
	}
	return a
}

func (x *extraction) makeDirs(ctx context.Context) error {
	open := x.attr(fs.ModeDir | 0o755)
	if err := makeDir(ctx, x.conn, x.dest, open); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	for _, p := range x.list.dirs() {
		if _, ok := x.there[p]; ok {
			continue
		}
		if err := x.conn.Mkdir(ctx, path.Join(x.dest, p), open); err != nil {
			return err
		}
	}
	return nil
}

// finishDirs gives directories of the archive their attributes, those below
// before those above. One that was there keeps its mode: it may be another's.
func (x *extraction) finishDirs(ctx context.Context) error {
	for _, p := range slices.Backward(x.list.dirs()) {
		e, ok := x.list[p]
		if !ok {
			continue
		}
		a := x.attr(e.mode)
		if _, old := x.there[p]; old {
			if a.Mode = nil; a == (conn.Attr{}) {
				continue
			}
		}
		if err := x.conn.SetAttr(ctx, path.Join(x.dest, p), a); err != nil {
			return err
		}
	}
	return nil
}

// small is a file that waits to be written.
type small struct {
	entry
	data []byte
}

// writeFiles writes the regular files, small ones several at a time.
func (x *extraction) writeFiles(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	waiting := make(chan small)
	var wg sync.WaitGroup
	for range lookers {
		wg.Go(func() {
			for s := range waiting {
				if err := x.writeFile(ctx, s.entry, bytes.NewReader(s.data)); err != nil {
					cancel(err)
				}
			}
		})
	}
	err := x.archive.each(ctx, func(e entry, open func() (io.ReadCloser, error)) error {
		listed := x.list[e.path]
		if listed.number != e.number || listed.mode.Type() != 0 || listed.copyOf != "" {
			return nil
		}
		r, err := open()
		if err != nil {
			return err
		}
		defer func() { _ = r.Close() }()
		exact := io.LimitReader(r, listed.size)
		if listed.size > smallFile {
			return x.writeFile(ctx, listed, untilDone(ctx, exact))
		}
		data, err := io.ReadAll(exact)
		if err != nil {
			return err
		}
		select {
		case waiting <- small{listed, data}:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
	close(waiting)
	wg.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

func (x *extraction) writeFile(ctx context.Context, e entry, r io.Reader) error {
	if err := x.clear(ctx, e.path); err != nil {
		return err
	}
	return x.conn.WriteFile(ctx, path.Join(x.dest, e.path), r, x.attr(e.mode))
}

// clear takes away what a write would not replace but follow, or stumble over.
func (x *extraction) clear(ctx context.Context, p string) error {
	if info, ok := x.there[p]; ok && !info.Mode.IsRegular() {
		return x.conn.Remove(ctx, path.Join(x.dest, p))
	}
	return nil
}

// writeLinks makes the links. A hard link becomes a file of its own.
func (x *extraction) writeLinks(ctx context.Context) error {
	for _, p := range sortedKeys(x.list) {
		e, name := x.list[p], path.Join(x.dest, p)
		if e.copyOf == "" && e.mode.Type() != fs.ModeSymlink {
			continue
		}
		if err := x.clear(ctx, p); err != nil {
			return err
		}
		if e.copyOf != "" {
			of := x.list[e.copyOf]
			if err := x.conn.Copy(ctx, path.Join(x.dest, e.copyOf), name, x.attr(of.mode)); err != nil {
				return err
			}
			continue
		}
		if info, ok := x.there[p]; ok && info.Mode.IsRegular() {
			if err := x.conn.Remove(ctx, name); err != nil {
				return err
			}
		}
		if err := x.conn.Symlink(ctx, e.target, name); err != nil {
			return err
		}
		if a := x.attr(e.mode); a != (conn.Attr{}) {
			a.NoFollow = true
			if err := x.conn.SetAttr(ctx, name, a); err != nil {
				return err
			}
		}
	}
	return nil
}
