package rules

import (
	"fmt"
	"strings"
)

// KeyText returns the key of a fact as the rule file has it, with its expressions.
func (s *SetFact) KeyText() string { return s.key.source() }

// ValueText returns the value of a fact as the rule file has it.
func (s *SetFact) ValueText() string { return s.value.source() }

// SubjectText returns the subject of an event as the rule file has it, empty if it
// has none.
func (p *Publish) SubjectText() string { return p.subject.source() }

// DataText returns the data of an event as the rule file has it, in one line; empty
// if it has none.
func (p *Publish) DataText() string { return p.data.source() }

// SubjectText returns the subject of a message as the rule file has it, empty if it
// has none.
func (n *Notify) SubjectText() string { return n.subject.source() }

// BodyText returns the text of a message as the rule file has it.
func (n *Notify) BodyText() string { return n.text.source() }

// LimitText returns the limit as the rule file has it, names separated by ", ";
// empty if there is none.
func (r *Run) LimitText() string {
	return strings.TrimSuffix(strings.TrimPrefix(r.limit.source(), "["), "]")
}

// VarsText returns the variables as the rule file has them, in one line; empty if
// there are none.
func (r *Run) VarsText() string { return r.vars.source() }

// source returns about what the rule file has for t, in one line; "" for nil.
func (t *template) source() string {
	if t == nil {
		return ""
	}
	switch t.kind {
	case list:
		parts := make([]string, 0, len(t.list))
		for _, x := range t.list {
			parts = append(parts, x.source())
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case fields:
		parts := make([]string, 0, len(t.keys))
		for _, k := range t.keys {
			parts = append(parts, k+": "+t.fields[k].source())
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case pieces:
		var b strings.Builder
		for _, p := range t.pieces {
			if p.prog == nil {
				b.WriteString(p.text)
			} else {
				// The parser is given another word for the name matches.
				b.WriteString("${{" + strings.ReplaceAll(p.prog.vm.Source().String(), "__match", "matches") + "}}")
			}
		}
		return b.String()
	default:
		if t.fixed == nil {
			return "null"
		}
		return fmt.Sprint(t.fixed)
	}
}
