package modules

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// iniText is an INI file that is being edited, line by line with their ends.
type iniText struct {
	lines []string
	eol   string
}

// edit returns what a file that holds before shall hold.
func (m *ini) edit(before string) (string, error) {
	t := iniText{lines: slices.Collect(strings.Lines(before)), eol: lineEnd(before)}
	values := m.Values
	if m.Value != nil {
		values = map[string]string{m.Option: *m.Value}
	}
	var err error
	switch {
	case m.Remove && m.Option == "":
		t.removeSection(m.Section)
	case m.Remove:
		err = t.removeOption(m.Section, m.Option)
	default:
		for _, name := range slices.Sorted(maps.Keys(values)) {
			if err = t.set(m.Section, name, values[name]); err != nil {
				break
			}
		}
	}
	return strings.Join(t.lines, ""), err
}

// header returns the name of the section that a line begins.
func header(l string) (name string, ok bool) {
	l, _ = cutEnd(l)
	if l, ok = strings.CutPrefix(strings.Trim(l, blanks), "["); !ok {
		return "", false
	}
	name, _, ok = strings.Cut(l, "]")
	return strings.Trim(name, blanks), ok
}

// isComment tells whether a line is a comment.
func isComment(l string) bool {
	l = strings.TrimLeft(l, blanks)
	return strings.HasPrefix(l, "#") || strings.HasPrefix(l, ";")
}

// option parts a line into the name of the option, what stands before the value, and
// the value. A name alone is an option without a value.
func option(l string) (name, prefix, value string, ok bool) {
	l, _ = cutEnd(l)
	if _, section := header(l); section || isComment(l) {
		return "", "", "", false
	}
	name, value, ok = strings.Cut(l, "=")
	name = strings.Trim(name, blanks)
	if !ok {
		return name, strings.TrimRight(l, blanks), "", name != ""
	}
	value = strings.Trim(value, blanks)
	return name, strings.TrimSuffix(strings.TrimRight(l, blanks), value), value, name != ""
}

// continues tells whether the option at an index goes on in the next line: it ends in
// a backslash, or what follows is indented deeper and looks like no option.
func (t *iniText) continues(at int) bool {
	_, _, value, ok := option(t.lines[at])
	if !ok || strings.HasSuffix(value, `\`) || at+1 == len(t.lines) {
		return strings.HasSuffix(value, `\`)
	}
	next := t.lines[at+1]
	_, _, _, ok = option(next)
	return ok && len(indent(next)) > len(indent(t.lines[at])) && (value == "" || !strings.Contains(next, "="))
}

// indent returns the blanks that a line begins with.
func indent(l string) string { return l[:len(l)-len(strings.TrimLeft(l, blanks))] }

// joined is the error of changing a line that is more than one.
func joined(at int) error {
	return fmt.Errorf("line %d is an option whose value goes on in the next line, "+
		"which this module does not change", at+1)
}

// span is a stretch of lines of one section, from behind its header.
type span struct{ from, to int }

// spans returns the stretches that belong to a section: several where its header
// stands several times. What comes before the first header is the section "".
func (t *iniText) spans(section string) []span {
	var out []span
	from := 0
	inside := section == "" // "[]" is a section too, but none that can be named
	for i, l := range t.lines {
		name, ok := header(l)
		if !ok {
			continue
		}
		if inside {
			out = append(out, span{from, i})
		}
		from = i + 1
		inside = section != "" && name == section
	}
	if inside {
		out = append(out, span{from, len(t.lines)})
	}
	return out
}

// set gives an option a value: the last one of that name, or a new one.
func (t *iniText) set(section, name, value string) error {
	spans := t.spans(section)
	for _, s := range slices.Backward(spans) {
		for i := s.to - 1; i >= s.from; i-- {
			has, prefix, old, ok := option(t.lines[i])
			if !ok || has != name {
				continue
			}
			if t.continues(i) {
				return joined(i)
			}
			if old != value || !strings.Contains(t.lines[i], "=") {
				_, end := cutEnd(t.lines[i])
				t.lines[i] = assignment(prefix, value) + end
			}
			return nil
		}
	}
	if len(spans) == 0 {
		t.addSection(section)
		spans = t.spans(section)
	}
	return t.add(section, spans[len(spans)-1], name, value)
}

// assignment joins what stands before a value and the value.
func assignment(prefix, value string) string {
	switch {
	case !strings.HasSuffix(strings.TrimRight(prefix, blanks), "="):
		prefix += " = " // a name alone
	case strings.HasSuffix(prefix, " =") || strings.HasSuffix(prefix, "\t="):
		prefix += " " // an empty value had lost its blank
	}
	return strings.TrimRight(prefix+value, blanks)
}

// add puts a new option behind the last one of a section's stretch.
func (t *iniText) add(section string, s span, name, value string) error {
	at, model := t.options(s)
	if at < 0 {
		at = t.firstPlace(section, s)
	}
	if model == "" {
		_, model = t.options(span{0, len(t.lines)})
	}
	if at > 0 && t.continues(at-1) {
		return joined(at - 1)
	}
	closeLine(t.lines, at, t.eol)
	t.lines = slices.Insert(t.lines, at, likewise(model, name, value)+t.eol)
	return nil
}

// options returns the index behind the last option of a stretch, -1 if it has none,
// and the first line of it that has an equals sign.
func (t *iniText) options(s span) (at int, model string) {
	at = -1
	for i, l := range t.lines[s.from:s.to] {
		if _, _, _, ok := option(l); !ok {
			continue
		}
		at = s.from + i + 1
		if model == "" && strings.Contains(l, "=") {
			model = l
		}
	}
	return at, model
}

// firstPlace returns the index for the first option of a stretch: behind the header,
// or before the comments that belong to the first section of the file.
func (t *iniText) firstPlace(section string, s span) int {
	if section != "" {
		return s.from
	}
	at := s.to
	for at < len(t.lines) && at > 0 && isComment(t.lines[at-1]) {
		at--
	}
	return at
}

// likewise writes an option in the manner of a line that has one.
func likewise(model, name, value string) string {
	before, after, ok := strings.Cut(model, "=")
	if !ok {
		return assignment(name, value)
	}
	text := indent(model) + name
	if strings.TrimRight(before, blanks) != before {
		text += " "
	}
	text += "="
	if strings.TrimLeft(after, blanks) != after && strings.TrimSpace(after) != "" {
		text += " "
	}
	return assignment(text, value)
}

// addSection puts a section at the end.
func (t *iniText) addSection(name string) {
	if n := len(t.lines); n > 0 {
		closeLine(t.lines, n, t.eol)
		if last, _ := cutEnd(t.lines[n-1]); strings.Trim(last, blanks) != "" {
			t.lines = append(t.lines, t.eol)
		}
	}
	t.lines = append(t.lines, "["+name+"]"+t.eol)
}

// removeOption takes an option out.
func (t *iniText) removeOption(section, name string) error {
	for _, s := range slices.Backward(t.spans(section)) {
		for i := s.to - 1; i >= s.from; i-- {
			if has, _, _, ok := option(t.lines[i]); !ok || has != name {
				continue
			}
			if t.continues(i) {
				return joined(i)
			}
			t.lines = slices.Delete(t.lines, i, i+1)
		}
	}
	return nil
}

// removeSection takes a section out, with its header. Comments that stand right
// above the next header are that section's.
func (t *iniText) removeSection(name string) {
	for _, s := range slices.Backward(t.spans(name)) {
		to := s.to
		for to < len(t.lines) && to > s.from && isComment(t.lines[to-1]) {
			to--
		}
		t.lines = slices.Delete(t.lines, s.from-1, to)
	}
}
