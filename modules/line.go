package modules

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// maxLineFile is how large a file of the line module may be, in bytes.
const maxLineFile = 16 << 20

// line is the line module. It edits one line of a text file and leaves the others as
// they are, with their ends. A file may be up to 16 MiB large.
//
// The result holds backup, the path of the copy that was kept, if one was.
type line struct {
	// Path is the absolute path of the file. A symbolic link is followed to the
	// file it names.
	Path filePath `yaml:"path,required"`
	// Line is the line that the file shall hold, without its end. With remove,
	// lines that are exactly so are taken out.
	Line *string `yaml:"line"`
	// Regexp finds the line to replace, in the syntax of Go's regular
	// expressions: the last line it matches becomes line. When it matches none,
	// line is added. With remove, every line it matches is taken out.
	Regexp pattern `yaml:"regexp"`
	// Create makes the file when it does not exist; otherwise that is a failure.
	Create bool `yaml:"create"`
	// Remove takes the lines out instead. One of line and regexp says which.
	Remove bool `yaml:"remove"`
	// InsertAfter puts a line that is added behind the last line that this
	// regular expression matches, or at the end of the file.
	InsertAfter pattern `yaml:"insert_after"`
	// InsertBefore puts a line that is added before the first line that this
	// regular expression matches, or at the beginning of the file.
	InsertBefore pattern `yaml:"insert_before"`
	// Backup keeps a copy of the file as it was, beside it, with the time in its
	// name. Its path is the member backup of the result.
	Backup bool `yaml:"backup"`
	// Attributes are the file's owner, group and mode. Those that are not given
	// are kept, or are the user's and 0o644 when the file is new.
	Attributes attributes `yaml:"attributes"`

	text string // what the file shall hold
	had  conn.FileInfo
}

// Validate checks what does not go together.
func (m *line) Validate() error {
	switch {
	case m.Remove && (m.Line == nil) == (m.Regexp.Regexp == nil):
		return errors.New("remove needs one of line and regexp, to say which lines")
	case m.Remove && (m.Create || m.InsertAfter.Regexp != nil || m.InsertBefore.Regexp != nil):
		return errors.New("remove excludes create, insert_after and insert_before")
	case !m.Remove && m.Line == nil:
		return errors.New("line is missing")
	case m.InsertAfter.Regexp != nil && m.InsertBefore.Regexp != nil:
		return errors.New("insert_after and insert_before exclude each other: give one of them")
	case m.Line != nil && strings.ContainsAny(*m.Line, "\r\n"):
		return errors.New("line holds more than one line")
	}
	return nil
}

// Preview reads ahead what Query reads.
func (m *line) Preview(ctx context.Context, h *engine.Host) { _, _ = m.Query(ctx, h) }

func (m *line) Query(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	found, err := h.Conn.Inspect(ctx, string(m.Path), conn.Look{Content: maxLineFile})
	switch {
	case errors.Is(err, fs.ErrNotExist) && m.Remove:
		return engine.Plan{Need: engine.Matched}, nil
	case errors.Is(err, fs.ErrNotExist) && m.Create:
		m.text = m.edit("")
		return engine.Plan{Need: engine.Create, Diffs: m.diffs(h, "")}, nil
	case errors.Is(err, fs.ErrNotExist):
		return engine.Plan{}, fmt.Errorf("%s does not exist; give create: true to make it", m.Path)
	case err != nil:
		return engine.Plan{}, err
	case found.Mode.IsDir():
		return engine.Plan{}, fmt.Errorf("%s is a directory", m.Path)
	case !found.Mode.IsRegular():
		return engine.Plan{}, fmt.Errorf("%s is not a regular file", m.Path)
	case found.Content == nil:
		return engine.Plan{}, fmt.Errorf("%s is larger than %d MiB, which is too large to edit by line", m.Path, maxLineFile>>20)
	}
	m.had = found.FileInfo
	before := string(found.Content)
	m.text = m.edit(before)
	plan := engine.Plan{Need: engine.Modify}
	if m.text != before {
		plan.Fields = append(plan.Fields, fieldContent)
		plan.Diffs = m.diffs(h, before)
	}
	if plan.Fields = append(plan.Fields, m.Attributes.diff(m.had)...); len(plan.Fields) == 0 {
		plan.Need = engine.Matched
	}
	return plan, nil
}

func (m *line) diffs(h *engine.Host, before string) []engine.Diff {
	if !h.Diff {
		return nil
	}
	return []engine.Diff{distinct(engine.Diff{
		Path:   string(m.Path),
		Before: shown([]byte(before), int64(len(before))),
		After:  shown([]byte(m.text), int64(len(m.text))),
	})}
}

func (m *line) Apply(ctx context.Context, h *engine.Host, p engine.Plan) (engine.Result, error) {
	var res engine.Result
	if m.Backup && p.Need == engine.Modify && p.Fields[0] == fieldContent {
		to, err := backupPath(ctx, h.Conn, string(m.Path), time.Now())
		if err == nil {
			err = h.Conn.Copy(ctx, string(m.Path), to, keep(m.had))
		}
		if err != nil {
			return res, fmt.Errorf("keeping a backup: %w", err)
		}
		res.Data = map[string]any{"backup": to}
	}
	return res, textContent(m.text).apply(ctx, h, m.Path, m.Attributes, p)
}

// edit returns what a file that holds before shall hold.
func (m *line) edit(before string) string {
	eol := "\n"
	if first, _, ok := strings.Cut(before, "\n"); ok && strings.HasSuffix(first, "\r") {
		eol = "\r\n"
	}
	lines := slices.Collect(strings.Lines(before))
	if m.Remove {
		return strings.Join(slices.DeleteFunc(lines, m.unwanted), "")
	}
	if i := m.replaced(lines); i >= 0 {
		_, end := cutEnd(lines[i])
		if *m.Line == "" && end == "" {
			end = eol // else there would be no line
		}
		lines[i] = *m.Line + end
		return strings.Join(lines, "")
	}
	at := m.place(lines)
	if at == len(lines) && at > 0 {
		if rest, end := cutEnd(lines[at-1]); end == "" {
			lines[at-1] = rest + eol
			if *m.Line != "" {
				eol = "" // the last line still has no end
			}
		}
	}
	return strings.Join(slices.Insert(lines, at, *m.Line+eol), "")
}

// unwanted tells whether remove takes the line out.
func (m *line) unwanted(l string) bool {
	l, _ = cutEnd(l)
	if m.Line != nil {
		return l == *m.Line
	}
	return m.Regexp.MatchString(l)
}

// replaced returns the index of the line that becomes ours, or is it already; -1
// when there is none.
func (m *line) replaced(lines []string) int {
	have := slices.IndexFunc(lines, func(l string) bool {
		l, _ = cutEnd(l)
		return l == *m.Line
	})
	// A line that regexp does not match would not be found again by it: were
	// that asked first, the second run would replace another line.
	if m.Regexp.Regexp == nil || have >= 0 && !m.Regexp.MatchString(*m.Line) {
		return have
	}
	if i := lastMatch(m.Regexp, lines); i >= 0 {
		return i
	}
	return have
}

// place returns the index at which a line is added.
func (m *line) place(lines []string) int {
	if m.InsertBefore.Regexp != nil {
		return max(0, slices.IndexFunc(lines, m.InsertBefore.matchLine))
	}
	if m.InsertAfter.Regexp != nil {
		if i := lastMatch(m.InsertAfter, lines); i >= 0 {
			return i + 1
		}
	}
	return len(lines)
}

func lastMatch(p pattern, lines []string) int {
	for i, l := range slices.Backward(lines) {
		if p.matchLine(l) {
			return i
		}
	}
	return -1
}

// cutEnd parts a line from its end, which is empty for a last line without one.
func cutEnd(l string) (text, end string) {
	text = strings.TrimSuffix(strings.TrimSuffix(l, "\n"), "\r")
	return text, l[len(text):]
}

// pattern is a regular expression; nil when none was given.
type pattern struct{ *regexp.Regexp }

// UnmarshalNode takes a scalar that is a regular expression.
func (p *pattern) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode || n.Value == "" {
		return f.Errorf(n, "must be a regular expression")
	}
	re, err := regexp.Compile(n.Value)
	if err != nil {
		return f.Errorf(n, "%w", err)
	}
	p.Regexp = re
	return nil
}

func (p pattern) matchLine(l string) bool {
	l, _ = cutEnd(l)
	return p.MatchString(l)
}
