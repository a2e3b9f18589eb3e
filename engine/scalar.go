package engine

import (
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/engine/template"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// scalar is a text that is taken as written, with its place.
type scalar struct {
	strictyaml.Pos
	text string
}

// UnmarshalNode takes any scalar but null, and trims it.
func (s *scalar) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	text := strings.TrimSpace(n.Value)
	if strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!") {
		return f.Errorf(n, "text that begins with an exclamation mark needs quotes: %s is read as a tag", n.Tag)
	}
	if n.Kind == yaml.ScalarNode && text == "" && n.Anchor != "" {
		return f.Errorf(n, "text that begins with & needs quotes: &%s is read as an anchor", n.Anchor)
	}
	if n.Kind != yaml.ScalarNode || text == "" {
		return f.Errorf(n, "must be text, and not empty")
	}
	*s = scalar{Pos: f.Pos(n), text: text}
	return nil
}

// text is a text with templates in it.
type text struct {
	strictyaml.Pos
	tmpl *template.Template
}

// UnmarshalNode parses the template in a scalar.
func (t *text) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode || n.Value == "" {
		return f.Errorf(n, "must be text, and not empty")
	}
	tmpl, err := template.Parse(f.TextPos(n), n.Value)
	*t = text{Pos: f.Pos(n), tmpl: tmpl}
	return err
}

// render renders the text, which must not come out empty.
func (t *text) render(key string, vars map[string]any) (string, error) {
	s, err := t.tmpl.Render(vars)
	if err != nil {
		return "", err
	}
	if s = strings.TrimSpace(s); s == "" {
		return "", t.Errorf("%s is empty once it is rendered", key)
	}
	return s, nil
}

// texts is one text or a list of them.
type texts []text

// UnmarshalNode takes a scalar or a list of scalars, or null.
func (ts *texts) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	if n.ShortTag() == "!!null" {
		return nil
	}
	if n.Kind == yaml.SequenceNode {
		return f.Decode(n, (*[]text)(ts))
	}
	*ts = make(texts, 1)
	return (*ts)[0].UnmarshalNode(f, n)
}

// condition is a parsed condition.
type condition struct {
	strictyaml.Pos
	text string
	cond *template.Condition
}

// UnmarshalNode parses the condition in a scalar.
func (c *condition) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode || n.Value == "" {
		return f.Errorf(n, "must be a condition")
	}
	cond, err := template.ParseCondition(f.TextPos(n), n.Value)
	*c = condition{Pos: f.Pos(n), text: n.Value, cond: cond}
	return err
}
