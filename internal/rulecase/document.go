package rulecase

import (
	"time"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// What a file of cases holds. Fields are nodes where a fault needs its own place.
type (
	fileDoc struct {
		Cases []caseDoc `yaml:"cases,required"`
	}
	caseDoc struct {
		Pos   strictyaml.Pos
		Name  text        `yaml:"name,required"`
		Rules []text      `yaml:"rules"`
		At    text        `yaml:"at"`
		Steps []yaml.Node `yaml:"steps,required"`
	}
	stepDoc struct {
		Pos     strictyaml.Pos
		Advance time.Duration `yaml:"advance"`
		Down    time.Duration `yaml:"down"`
		Event   *eventDoc     `yaml:"event"`
		Expect  []expectDoc   `yaml:"expect"`
	}
	eventDoc struct {
		Pos             strictyaml.Pos
		Type            string    `yaml:"type,required"`
		Source          string    `yaml:"source"`
		ID              string    `yaml:"id"`
		Subject         string    `yaml:"subject"`
		Time            text      `yaml:"time"`
		DataContentType string    `yaml:"datacontenttype"`
		DataSchema      string    `yaml:"dataschema"`
		Data            yaml.Node `yaml:"data"`
		Ext             yaml.Node `yaml:"ext"`
	}
	expectDoc struct {
		Pos     strictyaml.Pos
		Rule    text      `yaml:"rule,required"`
		Outcome text      `yaml:"outcome"`
		Key     *string   `yaml:"key"`
		Missing string    `yaml:"missing"`
		By      string    `yaml:"by"`
		Run     yaml.Node `yaml:"run"`
		Publish yaml.Node `yaml:"publish"`
		Set     yaml.Node `yaml:"set"`
		Notify  yaml.Node `yaml:"notify"`
	}
	// What may be said of the parts of a firing, for their keys.
	runDoc struct {
		Playbook     yaml.Node `yaml:"playbook"`
		Inventory    yaml.Node `yaml:"inventory"`
		Limit        yaml.Node `yaml:"limit"`
		Vars         yaml.Node `yaml:"vars"`
		Needs        yaml.Node `yaml:"needs"`
		Timeout      yaml.Node `yaml:"timeout"`
		OnRunnerLoss yaml.Node `yaml:"on_runner_loss"`
		Check        yaml.Node `yaml:"check"`
		Priority     yaml.Node `yaml:"priority"`
		Retry        yaml.Node `yaml:"retry"`
		Concurrency  yaml.Node `yaml:"concurrency"`
		Approval     yaml.Node `yaml:"approval"`
		ShareHosts   yaml.Node `yaml:"share_hosts"`
	}
	publishDoc struct {
		Type    yaml.Node `yaml:"type"`
		Subject yaml.Node `yaml:"subject"`
		Data    yaml.Node `yaml:"data"`
	}
	notifyDoc struct {
		To      yaml.Node `yaml:"to"`
		Subject yaml.Node `yaml:"subject"`
		Text    yaml.Node `yaml:"text"`
	}
)

// text is a scalar with its place.
type text struct {
	Text string
	Pos  strictyaml.Pos
}

// UnmarshalNode implements [strictyaml.Unmarshaler].
func (t *text) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	t.Pos = f.Pos(n)
	return f.Decode(n, &t.Text)
}
