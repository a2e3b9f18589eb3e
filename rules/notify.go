package rules

import (
	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/internal/lazyregexp"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

type notifyDoc struct {
	Pos     strictyaml.Pos
	To      field     `yaml:"to,required"`
	Subject yaml.Node `yaml:"subject"`
	Text    yaml.Node `yaml:"text,required"`
}

var targetName = lazyregexp.New(`^[a-z0-9][a-z0-9_-]*$`)

func (c *builder) notify(node *yaml.Node) {
	var doc notifyDoc
	c.fault(c.f.Decode(node, &doc))
	n := &Notify{To: doc.To.text, Pos: doc.Pos}
	if doc.To.node != nil && !targetName().MatchString(n.To) {
		c.fault(doc.To.pos.Errorf("to: %q is not the name of a target: small letters, digits, _ and -", n.To))
	}
	n.subject = c.textTemplate("subject", &doc.Subject)
	n.text = c.textTemplate("text", &doc.Text)
	c.r.Notify = append(c.r.Notify, n)
}

// notification works out the message that n sends.
func (n *Notify) notification(ev *evaluation) (Notification, error) {
	out := Notification{To: n.To}
	var err error
	if n.subject != nil {
		if out.Subject, err = n.subject.text(ev, "notify.subject"); err != nil {
			return out, err
		}
	}
	out.Text, err = n.text.text(ev, "notify.text")
	return out, err
}
