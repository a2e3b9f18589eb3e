package rules

import (
	"io/fs"
	"strings"

	"gopkg.in/yaml.v3"
)

func (l *loader) run(f *source, r *Run, doc *runDoc) {
	*r = Run{
		Playbook:     doc.Playbook.text,
		Inventory:    DefaultInventory,
		Timeout:      DefaultTimeout,
		OnRunnerLoss: DefaultOnRunnerLoss,
		Check:        doc.Check,
		Priority:     doc.Priority.value,
		ShareHosts:   doc.ShareHosts,
	}
	l.between("priority", doc.Priority, -maxPriority, maxPriority)
	r.Retry = l.retry(doc.Retry)
	r.Approval = l.approval(f, &doc.Approval)
	l.concurrency(f, r, &doc.Concurrency)
	for name, value := range doc.Needs {
		if strings.Contains(value.text, exprOpen) {
			l.fault(value.pos.Errorf("needs: %s: cannot hold an expression; limit and vars can", name))
		}
		if r.Needs == nil {
			r.Needs = make(map[string]string, len(doc.Needs))
		}
		r.Needs[name] = value.text
	}
	l.contentPath("playbook", doc.Playbook)
	if doc.Inventory.node != nil {
		r.Inventory = doc.Inventory.text
		l.contentPath("inventory", doc.Inventory)
	}
	if doc.Timeout.node != nil {
		r.Timeout = doc.Timeout.value
		if doc.Timeout.value == 0 {
			l.fault(doc.Timeout.pos.Errorf("timeout: must be more than zero"))
		}
	}
	if t := doc.OnRunnerLoss; t.node != nil {
		r.OnRunnerLoss = LossPolicy(t.text)
		if r.OnRunnerLoss != LossRequeue && r.OnRunnerLoss != LossFail {
			l.fault(t.pos.Errorf("on_runner_loss: must be %s or %s, not %q", LossRequeue, LossFail, t.text))
		}
	}
	if doc.Limit.Kind != 0 {
		var err error
		r.limit, err = l.lang.template(f, &doc.Limit)
		if err == nil {
			err = fixedLimit(r.limit)
		}
		l.fault(err)
	}
	if doc.Vars.Kind != 0 {
		if doc.Vars.Kind != yaml.MappingNode {
			l.fault(f.Errorf(&doc.Vars, "vars: must be a mapping"))
			return
		}
		var err error
		r.vars, err = l.lang.template(f, &doc.Vars)
		l.fault(err)
	}
}

// contentPath checks a path into the content that travels with a job.
func (l *loader) contentPath(key string, t field) {
	switch {
	case t.node == nil:
	case strings.Contains(t.text, exprOpen):
		l.fault(t.pos.Errorf("%s: cannot hold an expression; limit and vars can", key))
	case !fs.ValidPath(t.text) || t.text == "." || strings.Contains(t.text, `\`):
		l.fault(t.pos.Errorf("%s: %q is not a path below the content directory", key, t.text))
	}
}
