package rules

import (
	"errors"
	"fmt"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// Policy says what becomes of a job when another one with its concurrency key
// has not ended yet.
type Policy string

// The policies.
const (
	// PolicyQueue lets the job wait for its turn.
	PolicyQueue Policy = "queue"
	// PolicySkip ends the job without running it.
	PolicySkip Policy = "skip"
	// PolicyReplace cancels the jobs before it.
	PolicyReplace Policy = "replace"
)

// Concurrency keeps jobs apart: of those with one key, whatever their rules, only
// one runs at a time.
type Concurrency struct {
	// Key is the key's value in an [Action], and its source text in a [Run].
	Key    string
	Policy Policy
}

// maxKey bounds a concurrency key, in bytes.
const maxKey = 1024

type concurrencyDoc struct {
	Pos    strictyaml.Pos
	Key    yaml.Node `yaml:"key,required"`
	Policy field     `yaml:"policy"`
}

// concurrency reads the key concurrency: a mapping, or the key alone.
func (l *loader) concurrency(f *source, r *Run, n *yaml.Node) {
	if n.Kind == 0 {
		return
	}
	doc := concurrencyDoc{Key: *n}
	if isMapping(n) {
		doc.Key = yaml.Node{}
		l.fault(f.Decode(n, &doc))
	}
	r.Concurrency = &Concurrency{Policy: PolicyQueue}
	if t := doc.Policy; t.node != nil {
		r.Concurrency.Policy = Policy(t.text)
		switch r.Concurrency.Policy {
		case PolicyQueue, PolicySkip, PolicyReplace:
		default:
			l.fault(t.pos.Errorf("policy: must be %s, %s or %s, not %q", PolicyQueue, PolicySkip, PolicyReplace, t.text))
		}
	}
	if doc.Key.Kind == 0 {
		return // reported as missing
	}
	key, err := l.lang.template(f, &doc.Key)
	if err == nil && key.kind != pieces {
		if _, err = keyText(key.fixed); err != nil || key.kind != scalar {
			err = key.pos.Errorf("concurrency: the key must be text")
		}
	}
	l.fault(err)
	r.key, r.Concurrency.Key = key, doc.Key.Value
}

func isMapping(n *yaml.Node) bool {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n.Kind == yaml.MappingNode
}

// concurrency works out the key for the event.
func (r *Run) concurrency(ev *evaluation) (*Concurrency, error) {
	if r.key == nil {
		return nil, nil
	}
	v, err := r.key.eval(ev, "concurrency")
	if err != nil {
		return nil, err
	}
	key, err := keyText(v)
	if err != nil {
		return nil, r.key.pos.Errorf("concurrency: %w", err)
	}
	return &Concurrency{Key: key, Policy: r.Concurrency.Policy}, nil
}

// keyText returns a key as text. Nothing at all is refused: jobs that have nothing
// in common would wait for each other.
func keyText(v any) (string, error) {
	switch v.(type) {
	case string, bool, int64, uint64, float64:
	default:
		return "", errors.New("the key is " + kindOf(v) + ", not text")
	}
	s := fmt.Sprint(v)
	switch {
	case s == "":
		return "", errors.New("the key is empty")
	case len(s) > maxKey:
		return "", fmt.Errorf("the key is longer than %d bytes", maxKey)
	}
	return s, nil
}
