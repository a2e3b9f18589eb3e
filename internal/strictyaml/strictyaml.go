package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"

	"gopkg.in/yaml.v3"
)

// Pos is a place in a file. Line and Column count from 1; a zero Column means
// that only the line is known, a zero Line that only the file is. The zero Pos
// is "no place". A struct field of this type named Pos is filled by
// [File.Decode] with the place of the node decoded into the struct.
type Pos struct {
	File         string
	Line, Column int
}

// String returns file:line:column, as far as known.
func (p Pos) String() string {
	s := p.File
	for _, n := range []int{p.Line, p.Column} {
		if n == 0 {
			break
		}
		if s != "" {
			s += ":"
		}
		s += strconv.Itoa(n)
	}
	return s
}

// Errorf returns an [*Error] at p.
func (p Pos) Errorf(format string, args ...any) error {
	return &Error{Pos: p, Err: fmt.Errorf(format, args...)}
}

// Wrap returns err with the place p, or nil if err is nil. An error that
// already carries a place is returned as it is.
func (p Pos) Wrap(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*Error](err); ok {
		return err
	}
	return &Error{Pos: p, Err: err}
}

// Keyed is the place of a mapping, and of what its keys have. A struct that embeds it
// is told where it stands by [File.Decode], as one with a [Pos] is.
type Keyed struct {
	Pos
	values map[string]Pos
}

// Place returns the place of the value that key has, or that of the mapping if it does
// not have the key.
func (k Keyed) Place(key string) Pos {
	if p, ok := k.values[key]; ok {
		return p
	}
	return k.Pos
}

// Error is one fault in a file.
type Error struct {
	Pos
	Err error
}

// Error returns "file:line:column: message".
func (e *Error) Error() string {
	if at := e.Pos.String(); at != "" {
		return at + ": " + e.Err.Error()
	}
	return e.Err.Error()
}

// Unwrap returns the message's error.
func (e *Error) Unwrap() error { return e.Err }

// File is a parsed document. Root is nil when the document is empty. A File is
// not changed after [Parse] and may be read by several goroutines.
type File struct {
	Name string
	Root *yaml.Node

	data  []byte
	lines []int // the offset in data at which each line begins
}

// Parse reads one YAML document. More than one document, duplicate mapping
// keys, keys that are not scalars, and syntax errors are errors that carry
// their place.
func Parse(name string, data []byte) (*File, error) {
	f := &File{Name: name, data: data, lines: lineStarts(data)}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return f, nil
	case err != nil:
		return nil, f.syntaxError(err)
	}
	var more yaml.Node
	switch err := dec.Decode(&more); {
	case errors.Is(err, io.EOF):
	case err != nil:
		return nil, f.syntaxError(err)
	default:
		return nil, f.Errorf(&more, "a second document begins here; write one document per file")
	}
	if len(doc.Content) == 1 {
		f.Root = doc.Content[0]
	}
	if f.Root != nil && f.Root.Kind == yaml.ScalarNode && f.Root.Value == "" && f.Root.ShortTag() == "!!null" {
		f.Root = nil
	}
	return f, errors.Join(f.check(f.Root, make(map[*yaml.Node]bool))...)
}

// check finds the faults below n that yaml.v3 lets pass; within holds the nodes
// around n.
func (f *File) check(n *yaml.Node, within map[*yaml.Node]bool) []error {
	if n == nil {
		return nil
	}
	if n.Kind == yaml.AliasNode {
		if within[n.Alias] {
			return []error{f.Errorf(n, "alias *%s stands inside of what it names", n.Value)}
		}
		return nil
	}
	errs := f.checkKeys(n)
	within[n] = true
	for _, c := range n.Content {
		errs = append(errs, f.check(c, within)...)
	}
	delete(within, n)
	return errs
}

func (f *File) checkKeys(n *yaml.Node) []error {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	var errs []error
	seen := make(map[string]*yaml.Node, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		if k.Kind != yaml.ScalarNode {
			hint := ""
			if k.Kind == yaml.MappingNode && k.Style&n.Style&yaml.FlowStyle != 0 && k.Line == n.Line && k.Column == n.Column+1 {
				hint = "; " + quoteHint
			}
			errs = append(errs, f.Errorf(k, "a key must be a plain word or a string%s", hint))
			continue
		}
		if first, dup := seen[k.Value]; dup {
			errs = append(errs, f.Errorf(k, "duplicate key %q, first given on line %d", k.Value, first.Line))
			continue
		}
		seen[k.Value] = k
	}
	return errs
}

// Pos returns the place of n. What was not written, such as the root of an empty
// document, is missed at the beginning of the file.
func (f *File) Pos(n *yaml.Node) Pos {
	if n == nil || n.Line == 0 {
		return Pos{File: f.Name, Line: 1, Column: 1}
	}
	return Pos{File: f.Name, Line: n.Line, Column: n.Column}
}

// Errorf returns an [*Error] at the place of n; n may be nil.
func (f *File) Errorf(n *yaml.Node, format string, args ...any) error {
	return f.Pos(n).Errorf(format, args...)
}

// kindName says what a node is, for error messages.
func kindName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		if isNull(n) {
			return "nothing"
		}
		return fmt.Sprintf("%q", n.Value)
	default:
		return "this"
	}
}

// deref follows an alias to the node it names.
func deref(n *yaml.Node) *yaml.Node {
	for n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}
