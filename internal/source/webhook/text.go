package webhook

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// Text is a hooks file as people write it. What its methods change, they change in the
// text, and leave the rest byte for byte as it was; where that cannot be done for sure,
// they say so and change nothing.
type Text struct {
	name string
	data []byte
}

// NewText returns the text of the file name; data is nil if there is none yet.
func NewText(name string, data []byte) *Text { return &Text{name: name, data: bytes.Clone(data)} }

// Bytes returns the text as it is now.
func (t *Text) Bytes() []byte { return t.data }

// Named is what the text says of a hook.
type Named struct {
	Name, Kind  string
	SecretFiles []string
}

// Hooks returns the hooks of the text in their order. Nothing that they name is read.
func (t *Text) Hooks() ([]Named, error) {
	doc, err := t.decode(t.data)
	if err != nil {
		return nil, err
	}
	var all []Named
	for _, h := range doc.Hooks {
		n := Named{Name: h.Name, Kind: h.Kind}
		for _, file := range h.SecretFiles {
			n.SecretFiles = append(n.SecretFiles, file.text)
		}
		all = append(all, n)
	}
	return all, nil
}

// textDoc is fileDoc of a text that need not have hooks yet.
type textDoc struct {
	Proxies []placed   `yaml:"proxies"`
	Hooks   []hookForm `yaml:"hooks"`
}

func (t *Text) decode(data []byte) (doc textDoc, err error) {
	if len(data) == 0 {
		return doc, nil
	}
	f, err := strictyaml.Parse(t.name, data)
	if err != nil {
		return doc, err
	}
	return doc, f.Decode(f.Root, &doc)
}

// errByHand says that a text is written in a way that is not changed here.
var errByHand = errors.New("it is written in a way that this command does not change; edit it by hand, or write its list of hooks with one - at the beginning of each")

// lines are the text's, with their ends.
func (t *Text) lines() []string { return strings.SplitAfter(string(t.data), "\n") }

// Add appends a hook: its lines without the dash, such as "name: app".
func (t *Text) Add(name string, entry []string) error {
	before, err := t.Hooks()
	if err != nil {
		return err
	}
	if slices.ContainsFunc(before, func(n Named) bool { return n.Name == name }) {
		return fmt.Errorf("%s: there is a webhook %q already", t.name, name)
	}
	list, key, err := t.list()
	if err != nil {
		return err
	}
	if key == nil {
		text := string(t.data)
		if text != "" && !strings.HasSuffix(text, "\n") {
			text += "\n"
		}
		return t.set([]string{text, "hooks:\n", dashed("  ", entry)}, append(before, Named{Name: name}))
	}
	lines := t.lines()
	if list == nil || len(list.Content) == 0 {
		line := lines[key.Line-1]
		if list != nil { // []
			if line = strings.Replace(line, " []", "", 1); line == lines[key.Line-1] || list.Line != key.Line {
				return t.byHand()
			}
		}
		out := slices.Concat(lines[:key.Line-1], []string{ended(line), dashed("  ", entry)}, lines[key.Line:])
		return t.set(out, append(before, Named{Name: name}))
	}
	indent, err := t.dashes(list)
	if err != nil {
		return err
	}
	_, end := t.span(list, len(list.Content)-1, indent)
	lines[end-1] = ended(lines[end-1])
	out := slices.Concat(lines[:end], []string{dashed(strings.Repeat(" ", indent), entry)}, lines[end:])
	return t.set(out, append(before, Named{Name: name}))
}

// Remove takes a hook out.
func (t *Text) Remove(name string) error {
	before, err := t.Hooks()
	if err != nil {
		return err
	}
	i, err := t.index(before, name)
	if err != nil {
		return err
	}
	list, _, err := t.list()
	if err != nil {
		return err
	}
	indent, err := t.dashes(list)
	if err != nil {
		return err
	}
	from, to := t.span(list, i, indent)
	lines := t.lines()
	return t.set(slices.Concat(lines[:from], lines[to:]), slices.Delete(before, i, i+1))
}

// SetSecrets names other secret files for a hook.
func (t *Text) SetSecrets(name string, files []string) error {
	before, err := t.Hooks()
	if err != nil {
		return err
	}
	i, err := t.index(before, name)
	if err != nil {
		return err
	}
	list, _, err := t.list()
	if err != nil {
		return err
	}
	var node *yaml.Node
	entry := list.Content[i]
	for k := 0; k+1 < len(entry.Content); k += 2 {
		if entry.Content[k].Value == "secret_files" {
			node = entry.Content[k+1]
		}
	}
	if node == nil || node.Kind != yaml.SequenceNode || len(node.Content) == 0 {
		return t.byHand()
	}
	quoted := make([]string, len(files))
	for i, file := range files {
		quoted[i] = Scalar(file)
	}
	lines := t.lines()
	if node.Style&yaml.FlowStyle != 0 {
		line := []rune(lines[node.Line-1])
		rest := string(line[min(node.Column-1, len(line)):])
		end := strings.IndexByte(rest, ']')
		if !strings.HasPrefix(rest, "[") || end < 0 || strings.ContainsAny(rest[:end], "#\"'") {
			return t.byHand()
		}
		lines[node.Line-1] = string(line[:node.Column-1]) + "[" + strings.Join(quoted, ", ") + rest[end:]
	} else {
		first, last := node.Content[0].Line, node.Content[len(node.Content)-1].Line
		lead := lines[first-1][:len(lines[first-1])-len(strings.TrimLeft(lines[first-1], " "))]
		if last-first+1 != len(node.Content) || !strings.HasPrefix(lines[first-1][len(lead):], "- ") {
			return t.byHand()
		}
		var items []string
		for _, q := range quoted {
			items = append(items, lead+"- "+q+"\n")
		}
		lines = slices.Concat(lines[:first-1], items, lines[last:])
	}
	before[i].SecretFiles = files
	return t.set(lines, before)
}

func (t *Text) index(all []Named, name string) (int, error) {
	i := slices.IndexFunc(all, func(n Named) bool { return n.Name == name })
	if i >= 0 {
		return i, nil
	}
	var names []string
	for _, n := range all {
		names = append(names, n.Name)
	}
	return 0, fmt.Errorf("%s: there is no webhook %q%s", t.name, name, strictyaml.Suggest(name, names))
}

// list finds the list of hooks and its key. The key is nil if the text has none, the
// list if nothing is after it.
func (t *Text) list() (list, key *yaml.Node, err error) {
	if len(t.data) == 0 {
		return nil, nil, nil
	}
	f, err := strictyaml.Parse(t.name, t.data)
	if err != nil || f.Root == nil {
		return nil, nil, err
	}
	for i := 0; i+1 < len(f.Root.Content); i += 2 {
		if f.Root.Content[i].Value != "hooks" {
			continue
		}
		list = f.Root.Content[i+1]
		if list.Kind != yaml.SequenceNode {
			list = nil
		}
		if f.Root.Style&yaml.FlowStyle != 0 {
			return nil, nil, t.byHand()
		}
		return list, f.Root.Content[i], nil
	}
	return nil, nil, nil
}

// dashes returns how far the dashes of a list are indented.
func (t *Text) dashes(list *yaml.Node) (int, error) {
	if list.Style&yaml.FlowStyle != 0 {
		return 0, t.byHand()
	}
	line := t.lines()[list.Line-1]
	indent := len(line) - len(strings.TrimLeft(line, " "))
	if !strings.HasPrefix(line[indent:], "-") {
		return 0, t.byHand()
	}
	return indent, nil
}

// span returns the lines of the item i of a list, from one and up to another, counted from
// 0. Blank lines and comments after it are not its own.
func (t *Text) span(list *yaml.Node, i, indent int) (from, to int) {
	lines := t.lines()
	dash := strings.Repeat(" ", indent) + "-"
	for from = list.Content[i].Line - 1; from > 0 && !strings.HasPrefix(lines[from], dash); from-- {
	}
	to = from + 1
	for n := from + 1; n < len(lines); n++ {
		text := strings.TrimSpace(lines[n])
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		if len(lines[n])-len(strings.TrimLeft(lines[n], " ")) <= indent {
			break
		}
		to = n + 1
	}
	return from, to
}

// set takes over new lines, if they mean what they should.
func (t *Text) set(lines []string, want []Named) error {
	data := []byte(strings.Join(lines, ""))
	made := &Text{name: t.name, data: data}
	got, err := made.Hooks()
	same := func(a, b Named) bool {
		return a.Name == b.Name && (b.Kind == "" || a.Kind == b.Kind && slices.Equal(a.SecretFiles, b.SecretFiles))
	}
	if err != nil || !slices.EqualFunc(got, want, same) {
		return t.byHand()
	}
	t.data = data
	return nil
}

func (t *Text) byHand() error { return fmt.Errorf("%s: %w", t.name, errByHand) }

// dashed is the lines of an item of a list.
func dashed(indent string, entry []string) string {
	return indent + "- " + strings.Join(entry, "\n"+indent+"  ") + "\n"
}

// ended is a line with an end.
func ended(line string) string {
	if strings.HasSuffix(line, "\n") {
		return line
	}
	return line + "\n"
}

// Scalar is text as it stands in a hooks file, in quotes where it needs them.
func Scalar(s string) string {
	plain := !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._/-", r)
	})
	if plain && s != "" && s[0] != '-' {
		if _, text := strictyaml.Resolve(s).(string); text {
			return s
		}
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}
