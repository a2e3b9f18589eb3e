package intake

import (
	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/internal/releases"
	"github.com/jet-bus/jet-bus/internal/source"
	"github.com/jet-bus/jet-bus/internal/source/files"
	"github.com/jet-bus/jet-bus/internal/source/program"
	"github.com/jet-bus/jet-bus/internal/source/release"
	"github.com/jet-bus/jet-bus/internal/source/schedule"
	"github.com/jet-bus/jet-bus/internal/source/subject"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// Kind is a way in which events come in by themselves.
type Kind struct {
	// Key is what says in sources.yml that a source is of this kind.
	Key string
	// Program is true if such a source runs a program of the machine, which content
	// may only do where the operator allows it.
	Program bool
	// Make makes the source of what stands under the key. It reports all faults, with
	// their places, and opens nothing.
	Make func(f *strictyaml.File, n *yaml.Node) (source.Source, error)
}

// All returns the kinds that there are. Release watchers of one All ask each site one
// thing at a time, and share its budgets.
func All() []Kind {
	return []Kind{
		{Key: "releases", Make: releaseWatchers(releases.NewSites())},
		{Key: "schedule", Make: Of[schedule.Config]},
		{Key: "files", Make: Of[files.Config]},
		{Key: "nats", Make: Of[subject.Config]},
		{Key: "exec", Make: Of[program.Config], Program: true},
	}
}

// Config is the form of what stands under a kind's key, with the tags of package
// strictyaml.
type Config interface {
	// Source checks it, all faults at once, and makes the source.
	Source() (source.Source, error)
}

// Of decodes a C and makes its source; see [Kind.Make].
func Of[C Config](f *strictyaml.File, n *yaml.Node) (source.Source, error) {
	var c C
	return decode(f, n, c)
}

func decode[C Config](f *strictyaml.File, n *yaml.Node, c C) (source.Source, error) {
	if err := f.Decode(n, &c); err != nil {
		return nil, err
	}
	s, err := c.Source()
	return s, f.Pos(n).Wrap(err)
}

// releaseWatchers makes sources that watch for releases and ask sites in turns.
func releaseWatchers(sites *releases.Sites) func(*strictyaml.File, *yaml.Node) (source.Source, error) {
	return func(f *strictyaml.File, n *yaml.Node) (source.Source, error) {
		return decode(f, n, release.Config{Sites: sites})
	}
}
