package modules

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
)

const (
	// maxTreeDiffs is how many files of a tree are shown as they differ, and
	// maxTreeDiffSize how much of them, in bytes before and after.
	maxTreeDiffs    = 100
	maxTreeDiffSize = 4 << 20
)

// diffs returns what differs between the host and the tree, if it is asked for: a
// number of files, and how many more there are.
func (t *treeCopy) diffs(ctx context.Context, h *engine.Host) ([]engine.Diff, error) {
	if !h.Diff {
		return nil, nil
	}
	var diffs []engine.Diff
	size, more := 0, 0
	full := func() bool { return len(diffs) == maxTreeDiffs || size > maxTreeDiffSize }
	for _, i := range t.write {
		if t.entries[i].mode.IsDir() {
			continue
		}
		if full() {
			more++
			continue
		}
		d, err := t.diff(ctx, h, i)
		if err != nil {
			return nil, err
		}
		diffs = append(diffs, d)
		size += len(d.Before) + len(d.After)
	}
	for _, p := range t.remove {
		if full() {
			more++
			continue
		}
		diffs = append(diffs, engine.Diff{Path: t.at(treeEntry{path: p}), Before: "(removed, not shown)\n"})
	}
	if more > 0 {
		diffs = append(diffs, engine.Diff{Path: t.dest, After: fmt.Sprintf("(%d more files, not shown)\n", more)})
	}
	return diffs, nil
}

// diff is what differs at one entry that is to be written.
func (t *treeCopy) diff(ctx context.Context, h *engine.Host, i int) (engine.Diff, error) {
	e := t.entries[i]
	name := t.at(e)
	had := conn.Inspection{Content: []byte{}}
	if t.there[i] != nil {
		var err error
		had, err = t.before(ctx, h.Conn, i)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return engine.Diff{}, err
		}
	}
	if e.mode.IsRegular() {
		diffs, err := e.content.diffs(h, filePath(name), had)
		if err != nil {
			return engine.Diff{}, err
		}
		return diffs[0], nil
	}
	return engine.Diff{Path: name, Before: shown(had.Content, had.Size), After: linkText(e.target)}, nil
}

// before is what is at an entry now, as a diff shows it.
func (t *treeCopy) before(ctx context.Context, c conn.Conn, i int) (conn.Inspection, error) {
	name := t.at(t.entries[i])
	if t.there[i].Mode.Type() == fs.ModeSymlink {
		target, err := c.ReadLink(ctx, name)
		return conn.Inspection{Content: []byte(linkText(target))}, err
	}
	return c.Inspect(ctx, name, conn.Look{Content: maxDiff, NoFollow: true})
}

// linkText is a symbolic link as a diff shows it.
func linkText(target string) string { return "(a link to " + target + ")\n" }
