package modules

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
)

// maxFaults is how many faults of an archive are reported.
const maxFaults = 10

// listing is what an archive holds, by path; of several entries with one path
// the last counts.
type listing map[string]entry

// list reads through an archive and checks all of it. Nothing of an archive that
// fails here may be written.
func (a *archive) list(ctx context.Context) (listing, error) {
	l := make(listing)
	var total int64
	err := a.each(ctx, func(e entry, open func() (io.ReadCloser, error)) error {
		if e.size < 0 {
			r, err := open()
			if err != nil {
				return err
			}
			defer func() { _ = r.Close() }()
			if e.size, err = io.Copy(io.Discard, r); err != nil {
				return err
			}
		}
		if total += e.size; total < 0 || total > a.limit {
			return errTooMuch
		}
		l[e.path] = e
		return nil
	})
	if err != nil {
		return nil, err
	}
	return l, l.check()
}

// check finds what would be written elsewhere than where it is unpacked to, or
// not at all.
func (l listing) check() error {
	var errs []error
	for _, p := range sortedKeys(l) {
		e := l[p]
		err := l.checkParents(p)
		switch {
		case err != nil:
		case p == storeName:
			err = fmt.Errorf("%q is a name that jet-bus itself uses", p)
		case e.copyOf != "":
			if of, ok := l[e.copyOf]; !ok || of.mode.Type() != 0 || of.copyOf != "" {
				err = fmt.Errorf("%q is a hard link to %q, which is no file of the archive", p, e.copyOf)
			}
		case e.mode.Type() == fs.ModeSymlink:
			if _, err = l.resolve(path.Dir(p), e.target, new(int)); err != nil {
				err = fmt.Errorf("%q is a link to %q: %w", p, e.target, err)
			}
		}
		if err == nil {
			continue
		}
		if errs = append(errs, err); len(errs) == maxFaults {
			break
		}
	}
	return errors.Join(errs...)
}

// checkParents makes sure that what is above p is directories.
func (l listing) checkParents(p string) error {
	for dir := path.Dir(p); dir != "."; dir = path.Dir(dir) {
		if e, ok := l[dir]; ok && !e.mode.IsDir() {
			return fmt.Errorf("%q is below %q, which is no directory", p, dir)
		}
	}
	return nil
}

// resolve follows a link's target from dir as the host will, through the other
// links of the archive, and fails where that leads out of the top.
func (l listing) resolve(dir, target string, hops *int) (string, error) {
	if strings.HasPrefix(target, "/") {
		return "", errors.New("that is an absolute path")
	}
	if target == "" || strings.ContainsRune(target, 0) {
		return "", errors.New("that is no path")
	}
	at := dir
	for part := range strings.SplitSeq(target, "/") {
		switch part {
		case "", ".":
			continue
		case "..":
			if at == "." {
				return "", errors.New("that leads out of dest")
			}
			at = path.Dir(at)
			continue
		}
		at = path.Join(at, part)
		if e, ok := l[at]; ok && e.mode.Type() == fs.ModeSymlink {
			if *hops++; *hops > maxLinks {
				return "", errors.New("that is too many links in a row")
			}
			var err error
			if at, err = l.resolve(path.Dir(at), e.target, hops); err != nil {
				return "", err
			}
		}
	}
	return at, nil
}

// dirs returns every directory that the archive needs, those above before those
// below.
func (l listing) dirs() []string {
	all := make(map[string]bool)
	for p, e := range l {
		if e.mode.IsDir() {
			all[p] = true
		}
		for dir := path.Dir(p); dir != "."; dir = path.Dir(dir) {
			all[dir] = true
		}
	}
	return sortedKeys(all)
}
