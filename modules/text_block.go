package modules

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// textBlock is the text_block module. It ensures that a file holds lines of text
// between two marker lines, or holds them no more, and leaves all other lines alone.
// The markers are how the block is found again when its text changes: lines that are
// exactly so begin and end it. Where they do not make one pair, the file is left
// alone and the task fails. The file's line ends are kept.
//
// The result holds backup, the path of the copy that was kept, if one was.
type textBlock struct {
	// Path is the absolute path of the file. A symbolic link is followed to the
	// file it names.
	Path filePath `yaml:"path,required"`
	// Text is the lines that stand between the markers. It is needed unless remove
	// is given.
	Text *string `yaml:"text"`
	// Block is a name for the block, for files that hold several.
	Block *oneLine `yaml:"block"`
	// Marker is a line that is a comment in the file's language, in which {mark}
	// stands for BEGIN and END, and {block} for the block's name. When it is not
	// given it is "# {mark} jet block", and "# {mark} jet block {block}" with a name.
	Marker marker `yaml:"marker"`
	// InsertAfter puts a block that is added behind the last line that this regular
	// expression, in Go's syntax, matches, or at the end of the file.
	InsertAfter pattern `yaml:"insert_after"`
	// InsertBefore puts a block that is added before the first line that this
	// regular expression matches, or at the beginning of the file.
	InsertBefore pattern `yaml:"insert_before"`
	// Create makes the file when it does not exist; otherwise that is a failure.
	Create bool `yaml:"create"`
	// Remove takes the block out, with its markers.
	Remove bool `yaml:"remove"`
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
func (m *textBlock) Validate() error {
	named := strings.Contains(string(m.Marker), "{block}")
	switch {
	case m.Remove && (m.Text != nil || m.Create || m.InsertAfter.Regexp != nil || m.InsertBefore.Regexp != nil):
		return errors.New("remove excludes text, create, insert_after and insert_before")
	case !m.Remove && m.Text == nil:
		return errors.New("text is missing")
	case m.InsertAfter.Regexp != nil && m.InsertBefore.Regexp != nil:
		return errors.New("insert_after and insert_before exclude each other: give one of them")
	case named && m.Block == nil:
		return errors.New("marker has {block} in it: give block, the name to put there")
	case m.Block != nil && m.Marker != "" && !named:
		return errors.New("marker needs {block} in it, where the name of the block belongs")
	}
	begin, end := m.markers()
	for _, l := range m.lines() {
		if l == begin || l == end {
			return errors.New("text holds a line that is the block's own marker")
		}
	}
	return nil
}

// markers returns the lines before and behind the block.
func (m *textBlock) markers() (begin, end string) {
	line, name := string(m.Marker), ""
	if m.Block != nil {
		name = string(*m.Block)
	}
	switch {
	case line == "" && m.Block == nil:
		line = "# {mark} jet block"
	case line == "":
		line = "# {mark} jet block {block}"
	}
	fill := func(mark string) string {
		return strings.NewReplacer("{mark}", mark, "{block}", name).Replace(line)
	}
	return fill("BEGIN"), fill("END")
}

// lines returns the lines of the text without their ends.
func (m *textBlock) lines() []string {
	if m.Text == nil {
		return nil
	}
	var out []string
	for l := range strings.Lines(*m.Text) {
		out = append(out, strings.TrimRight(l, "\r\n"))
	}
	return out
}

// Preview reads ahead what Query reads.
func (m *textBlock) Preview(ctx context.Context, h *engine.Host) { _, _ = m.Query(ctx, h) }

func (m *textBlock) Query(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	m.file = edit{path: m.Path, create: m.Create, remove: m.Remove, backup: m.Backup, validate: m.Check, attributes: m.Attributes}
	return m.file.query(ctx, h, m.edit)
}

func (m *textBlock) Apply(ctx context.Context, h *engine.Host, p engine.Plan) (engine.Result, error) {
	return m.file.apply(ctx, h, p)
}

// edit returns what a file that holds before shall hold.
func (m *textBlock) edit(before string) (string, error) {
	eol := lineEnd(before)
	lines := slices.Collect(strings.Lines(before))
	from, to, err := m.find(lines)
	if err != nil {
		return "", err
	}
	found := from < to
	switch {
	case m.Remove:
		return strings.Join(slices.Delete(lines, from, to), ""), nil
	case !found:
		from = insertPlace(lines, m.InsertAfter, m.InsertBefore)
		to = from
		closeLine(lines, from, eol)
	}
	begin, end := m.markers()
	block := []string{begin + eol}
	for _, l := range m.lines() {
		block = append(block, l+eol)
	}
	if found {
		_, eol = cutEnd(lines[to-1]) // a last line without an end stays one
	}
	block = append(block, end+eol)
	return strings.Join(slices.Replace(lines, from, to, block...), ""), nil
}

// find returns where the block is, with its markers; from is to when it is not there.
func (m *textBlock) find(lines []string) (from, to int, err error) {
	begin, end := m.markers()
	opened := 0 // the number of the line that the block begins in
	for i, l := range lines {
		number := i + 1
		switch l, _ = cutEnd(l); l {
		case begin:
			if opened > 0 || to > 0 {
				return 0, 0, fmt.Errorf("line %d begins the block that line %d has begun already (%q)",
					number, max(opened, from+1), begin)
			}
			opened = number
		case end:
			if opened == 0 {
				return 0, 0, fmt.Errorf("line %d ends a block that was not begun (%q)", number, end)
			}
			from, to, opened = opened-1, number, 0
		}
	}
	if opened > 0 {
		return 0, 0, fmt.Errorf("line %d begins a block that has no end: the line %q is missing", opened, end)
	}
	return from, to, nil
}

// marker is a line with a place for the mark; empty when none was given.
type marker string

// UnmarshalNode takes a line with {mark} in it.
func (v *marker) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode || strings.Count(n.Value, "{mark}") != 1 || strings.ContainsAny(n.Value, "\r\n") {
		return f.Errorf(n, "must be one line with one {mark} in it, such as # {mark} jet block")
	}
	*v = marker(n.Value)
	return nil
}

// oneLine is a text that fits in a line of a file, and is not empty.
type oneLine string

// UnmarshalNode takes a text without line ends.
func (v *oneLine) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode || n.Value == "" || strings.ContainsAny(n.Value, "\r\n\x00") {
		return f.Errorf(n, "must be one line of text")
	}
	*v = oneLine(n.Value)
	return nil
}
