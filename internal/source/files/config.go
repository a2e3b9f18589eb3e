package files

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/internal/source"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

const (
	defaultEvery  = 5 * time.Second
	defaultSettle = 2 * time.Second
	leastEvery    = time.Second
	mostEvery     = 24 * time.Hour
	mostSettle    = time.Hour
)

// What of a file's content an event brings along.
const (
	contentNone = "none"
	contentText = "text"
	contentJSON = "json"
)

// Config is the form of a watched directory in sources.yml.
type Config struct {
	strictyaml.Keyed
	// Directory is an absolute path on the machine of jet-bus.
	Directory string `yaml:"directory,required"`
	// Match is a pattern for the names of files, as path.Match has it; all if it is empty.
	Match string `yaml:"match"`
	// Recursive is true if the directories below count too.
	Recursive bool `yaml:"recursive"`
	// Every is how often the directory is looked at, 5 s if it is nil.
	Every *time.Duration `yaml:"every"`
	// Settle is for how long a file must have rested, 2 s if it is nil.
	Settle *time.Duration `yaml:"settle"`
	// Content is none, which it is if empty, text or json.
	Content string `yaml:"content"`
	// Existing is true if the files that are there at the first look are told.
	Existing bool `yaml:"existing"`
}

// Source checks the configuration and makes the source. The error is all faults,
// each with its place.
func (c Config) Source() (source.Source, error) {
	d := &directory{
		path: filepath.Clean(c.Directory), match: c.Match, recursive: c.Recursive, content: c.Content, existing: c.Existing,
	}
	var errs []error
	fault := func(key, format string, args ...any) { errs = append(errs, c.Place(key).Errorf(format, args...)) }
	if !filepath.IsAbs(c.Directory) || told(c.Directory) != nil {
		fault("directory", "directory must be an absolute path, not %q", c.Directory)
	}
	if _, err := path.Match(c.Match, ""); err != nil {
		fault("match", "match: %q is no pattern such as *.json", c.Match)
	}
	if strings.Contains(c.Match, "/") {
		fault("match", "match: %q has a slash; it is compared with names alone", c.Match)
	}
	var err error
	if d.every, err = strictyaml.Span("every", c.Every, leastEvery, mostEvery, defaultEvery); err != nil {
		fault("every", "%w", err)
	}
	if d.settle, err = strictyaml.Span("settle", c.Settle, 0, mostSettle, defaultSettle); err != nil {
		fault("settle", "%w", err)
	}
	if d.content == "" {
		d.content = contentNone
	}
	if !slices.Contains([]string{contentNone, contentText, contentJSON}, d.content) {
		fault("content", "content must be none, text or json, not %q", c.Content)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	d.spec = fmt.Sprintf("%q match %q recursive %t", d.path, d.match, d.recursive)
	return d, nil
}
