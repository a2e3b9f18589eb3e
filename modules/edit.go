package modules

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
)

// maxEdit is how large a file may be that is changed in part, in bytes.
const maxEdit = 16 << 20

// edit changes a part of a text file and leaves the rest of it alone. Modules make
// one of their parameters and keep it from Query to Apply.
type edit struct {
	path filePath
	// create makes a file that is not there; remove finds nothing to do then.
	create, remove bool
	backup         bool
	validate       validation
	attributes     attributes

	had  conn.FileInfo
	text string // what the file shall hold
}

// query reads the file and says what is to be done so that it holds what change
// makes of its text and has the attributes.
func (e *edit) query(ctx context.Context, h *engine.Host, change func(before string) (string, error)) (engine.Plan, error) {
	found, err := h.Conn.Inspect(ctx, string(e.path), conn.Look{Content: maxEdit})
	plan := engine.Plan{Need: engine.Modify}
	switch {
	case errors.Is(err, fs.ErrNotExist) && e.remove:
		return engine.Plan{Need: engine.Matched}, nil
	case errors.Is(err, fs.ErrNotExist) && e.create:
		plan.Need = engine.Create
	case errors.Is(err, fs.ErrNotExist):
		return engine.Plan{}, fmt.Errorf("%s does not exist; give create: true to make it", e.path)
	case err != nil:
		return engine.Plan{}, err
	case found.Mode.IsDir():
		return engine.Plan{}, fmt.Errorf("%s is a directory", e.path)
	case !found.Mode.IsRegular():
		return engine.Plan{}, fmt.Errorf("%s is not a regular file", e.path)
	case found.Content == nil:
		return engine.Plan{}, fmt.Errorf("%s is larger than %d MiB, which is too large to edit", e.path, maxEdit>>20)
	}
	e.had = found.FileInfo
	before := string(found.Content)
	if e.text, err = change(before); err != nil {
		return engine.Plan{}, fmt.Errorf("editing %s: %w", e.path, err)
	}
	if plan.Need == engine.Create {
		plan.Diffs = e.diffs(h, before)
		return plan, nil
	}
	if e.text != before {
		plan.Fields = append(plan.Fields, fieldContent)
		plan.Diffs = e.diffs(h, before)
	}
	if plan.Fields = append(plan.Fields, e.attributes.diff(e.had)...); len(plan.Fields) == 0 {
		plan.Need = engine.Matched
	}
	return plan, nil
}

func (e *edit) diffs(h *engine.Host, before string) []engine.Diff {
	return textDiff(h, string(e.path), before, e.text)
}

// textDiff is the difference between two texts, if it is asked for.
func textDiff(h *engine.Host, path, before, after string) []engine.Diff {
	if !h.Diff {
		return nil
	}
	return []engine.Diff{distinct(engine.Diff{
		Path:   path,
		Before: shown([]byte(before), int64(len(before))),
		After:  shown([]byte(after), int64(len(after))),
	})}
}

// apply carries out the plan that query made.
func (e *edit) apply(ctx context.Context, h *engine.Host, p engine.Plan) (engine.Result, error) {
	r := replacement{
		content: textContent(e.text), dest: e.path, attrs: e.attributes, validate: e.validate, backup: e.backup,
	}
	return r.apply(ctx, h, p)
}

// lineEnd is how a text ends its lines, by its first one.
func lineEnd(text string) string {
	if first, _, ok := strings.Cut(text, "\n"); ok && strings.HasSuffix(first, "\r") {
		return "\r\n"
	}
	return "\n"
}

// closeLine gives the line before index at its end, where it is the last of a file
// and has none, so that lines can be put behind it. It tells whether it did.
func closeLine(lines []string, at int, eol string) bool {
	if at == 0 {
		return false
	}
	text, end := cutEnd(lines[at-1])
	if end != "" {
		return false
	}
	lines[at-1] = text + eol
	return true
}

// insertPlace returns the index at which lines are added: behind the last line that
// after matches or at the end, or before the first that before matches or at the
// beginning.
func insertPlace(lines []string, after, before pattern) int {
	if before.Regexp != nil {
		for i, l := range lines {
			if before.matchLine(l) {
				return i
			}
		}
		return 0
	}
	if after.Regexp != nil {
		if i := lastMatch(after, lines); i >= 0 {
			return i + 1
		}
	}
	return len(lines)
}
