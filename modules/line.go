package modules

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// line is the line module. It ensures that a file holds a line, or holds it no
// more, and leaves all other lines alone. The file's line ends are kept. A file may be
// up to 16 MiB large.
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
	// name.
	Backup bool `yaml:"backup"`
	// Check is a command line for the host's shell that must succeed before the file
	// is put in place, such as visudo -cf %s. %s stands for the new file, which lies
	// beside the old one under a name with the same end; the path is one word whatever
	// it holds. When it fails, the old file stays and the output is shown. It is not
	// run in check mode, nor when the file's content stays as it is.
	Check validation `yaml:"validate"`
	// Attributes are the file's owner, group and mode. Those that are not given
	// are kept, or are the user's and 0o644 when the file is new.
	Attributes attributes `yaml:"attributes"`

	file edit
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
	m.file = edit{path: m.Path, create: m.Create, remove: m.Remove, backup: m.Backup, validate: m.Check, attributes: m.Attributes}
	return m.file.query(ctx, h, func(before string) (string, error) { return m.edit(before), nil })
}

func (m *line) Apply(ctx context.Context, h *engine.Host, p engine.Plan) (engine.Result, error) {
	return m.file.apply(ctx, h, p)
}

// edit returns what a file that holds before shall hold.
func (m *line) edit(before string) string {
	eol := lineEnd(before)
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
	at := insertPlace(lines, m.InsertAfter, m.InsertBefore)
	end := eol
	if closeLine(lines, at, eol) && *m.Line != "" {
		end = "" // the last line still has no end
	}
	return strings.Join(slices.Insert(lines, at, *m.Line+end), "")
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
