package modules

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// publish is the publish module. It puts an event onto the bus, one for each
// host, where rules can fire on it. A job that is tried again publishes the same
// events again, which fire no rule twice. The result holds the event's id and
// source, and duplicate, which is true when the bus still knew the event.
//
// Mind circles: a rule whose playbook publishes what the rule waits for never ends.
//
// A playbook that jet runs needs a bus to publish on, as jet publish does: say
// which with --bus, or with --server and --creds. Check mode publishes nothing.
type publish struct {
	// Type is the type of the event: words joined by dots, such as
	// com.example.app.deployed. Those that begin with dev.jet-bus. are reserved.
	Type eventType `yaml:"type,required"`
	// Subject is what the event is about, such as the name of a host. There is
	// none unless it is given.
	Subject plainText `yaml:"subject"`
	// Source is where the event comes from, a URI reference such as
	// /teams/payments. When it is not given, it is /jobs/ID for a job, and /runs/ID
	// for a playbook that jet runs.
	Source plainText `yaml:"source"`
	// Data is what the event carries: any YAML. What a template comes to is text.
	// An event takes 256 KiB at the most.
	Data any `yaml:"data"`
}

// reserved begins the types of the events that only jet-bus itself publishes.
const reserved = "dev.jet-bus."

// eventType is the type of an event.
type eventType string

// UnmarshalNode takes what can be the type of an event of a user's own.
func (t *eventType) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	bad := func(r rune) bool { return r <= ' ' || r == '*' || r == '>' || !unicode.IsPrint(r) }
	switch {
	case n.Kind != yaml.ScalarNode || n.Value == "" || strings.ContainsFunc(n.Value, bad):
		return f.Errorf(n, "type must be words joined by dots, such as com.example.app.deployed, not %.80q", n.Value)
	case strings.HasPrefix(strings.ToLower(n.Value), reserved):
		return f.Errorf(n, "types that begin with %s are for jet-bus itself", reserved)
	}
	*t = eventType(n.Value)
	return nil
}

// plainText is text of one line.
type plainText string

// UnmarshalNode takes text without control characters.
func (a *plainText) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode || n.Value == "" || strings.ContainsFunc(n.Value, unicode.IsControl) {
		return f.Errorf(n, "must be text without control characters, and not empty, not %.80q", n.Value)
	}
	*a = plainText(n.Value)
	return nil
}

// Validate checks what the event is made of.
func (m *publish) Validate() error {
	if _, err := url.Parse(string(m.Source)); err != nil {
		return fmt.Errorf("source is not a URI reference such as /teams/payments: %.80q", m.Source)
	}
	if _, err := json.Marshal(m.Data); err != nil {
		return errors.New("data cannot be written as JSON: it holds a number that is infinite, or none")
	}
	return nil
}

// Offline says that the host is not needed.
func (m *publish) Offline() bool { return true }

func (m *publish) Query(context.Context, *engine.Host) (engine.Plan, error) {
	return engine.Plan{Need: engine.Execute}, nil
}

func (m *publish) Apply(ctx context.Context, h *engine.Host, _ engine.Plan) (engine.Result, error) {
	done, err := h.Publish(ctx, engine.Publication{
		Type: string(m.Type), Source: string(m.Source), Subject: string(m.Subject), Data: m.Data,
	})
	if err != nil {
		return engine.Result{}, fmt.Errorf("publishing %s: %w", m.Type, err)
	}
	return engine.Result{Data: map[string]any{
		"id": done.ID, "source": done.Source, "duplicate": done.Duplicate,
	}}, nil
}
