package engine

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// settings are what a task may take over from the blocks around it.
type settings struct {
	sudo       *text
	delegateTo *text
	// environ holds the outer blocks' variables first, so that later ones win.
	environ      environ
	timeout      time.Duration
	ignoreErrors bool
	// noLog keeps what a task says and shows to itself.
	noLog bool
	// tags holds those of the outer blocks first.
	tags []string
}

// within returns the settings of a task that stands in a block with outer ones.
func (s settings) within(outer settings) settings {
	if s.sudo == nil {
		s.sudo = outer.sudo
	}
	if s.delegateTo == nil {
		s.delegateTo = outer.delegateTo
	}
	if s.timeout == 0 {
		s.timeout = outer.timeout
	}
	s.environ = slices.Concat(outer.environ, s.environ)
	s.ignoreErrors = s.ignoreErrors || outer.ignoreErrors
	s.noLog = s.noLog || outer.noLog
	s.tags = slices.Concat(outer.tags, s.tags)
	return s
}

// settingsDoc holds the keys of with that tasks and blocks have in common.
type settingsDoc struct {
	Condition  *condition `yaml:"condition"`
	DelegateTo *text      `yaml:"delegate_to"`
	Sudo       *text      `yaml:"sudo"`
	Tags       words      `yaml:"tags"`
	Environ    environ    `yaml:"environment"`
	Timeout    limit      `yaml:"timeout"`
}

func (d *settingsDoc) settings() settings {
	return settings{
		sudo: d.Sudo, delegateTo: d.DelegateTo, environ: d.Environ,
		timeout: time.Duration(d.Timeout), tags: d.Tags,
	}
}

// limit is how long something may take; zero means that no limit was given.
type limit time.Duration

// UnmarshalNode takes Go's duration text above zero, or null.
func (l *limit) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	if n.ShortTag() == "!!null" {
		return nil
	}
	d, err := time.ParseDuration(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil || d <= 0 {
		return f.Errorf(n, "timeout must be a duration above zero, such as 30s, 10m or 1h30m, not %q", n.Value)
	}
	*l = limit(d)
	return nil
}

func rankTag(tag string) int {
	if tag == tagNever {
		return 0
	}
	return 1
}

// words is one word or a list of them: tags.
type words []string

// UnmarshalNode takes a scalar or a list of scalars, or null.
func (w *words) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	if n.ShortTag() == "!!null" {
		return nil
	}
	var list []scalar
	if n.Kind == yaml.SequenceNode {
		if err := f.Decode(n, &list); err != nil {
			return err
		}
	} else {
		list = make([]scalar, 1)
		if err := list[0].UnmarshalNode(f, n); err != nil {
			return err
		}
	}
	for _, s := range list {
		if strings.ContainsAny(s.text, ", \t\n") {
			return s.Errorf("%q cannot be a tag: it has a comma or a blank in it; write several as a list", s.text)
		}
		*w = append(*w, s.text)
	}
	// What follows never is at least as near to the task: see selection.allowed.
	slices.SortStableFunc(*w, func(a, b string) int { return cmp.Compare(rankTag(a), rankTag(b)) })
	return nil
}
