package program

import (
	"cmp"
	"errors"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/source"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

const (
	defaultStopAfter             = 10 * time.Second
	minStopAfter, maxStopAfter   = time.Second, 5 * time.Minute
	minRestart, maxRestart       = time.Second, 30 * 24 * time.Hour
	maxArguments, maxCommandSize = 256, 64 << 10
)

// Names of the variables that say to the program who it is, and where it was.
const (
	varSource      = "JET_SOURCE"
	varLastEventID = "JET_LAST_EVENT_ID"
)

// Config is what a source of kind exec has in sources.yml.
type Config struct {
	strictyaml.Keyed
	// Command is the program's absolute path and its arguments. No shell reads them.
	Command []string `yaml:"command,required"`
	// Environment is added to the program's environment, or replaces what is there.
	Environment map[string]string `yaml:"environment"`
	// Directory is where the program runs; / if it is empty.
	Directory string `yaml:"directory"`
	// Type is the type of the events made of lines that are not CloudEvents. Without
	// it only CloudEvents are taken.
	Type string `yaml:"type"`
	// StopAfter is how long the program has to end when it is asked to, 10s by default.
	StopAfter *time.Duration `yaml:"stop_after"`
	// RestartAfter is for a program that is meant to end: how long after that it runs
	// again. Without it, the program's end is a failure.
	RestartAfter *time.Duration `yaml:"restart_after"`
}

// Source checks the configuration and makes the source. It runs nothing.
func (c Config) Source() (source.Source, error) {
	s := &program{
		command: c.Command, directory: cmp.Or(c.Directory, "/"), typ: c.Type, environment: c.Environment,
		steady: steadyAfter,
	}
	errs := []error{c.checkCommand(), c.checkEnvironment()}
	if !filepath.IsAbs(s.directory) || strings.ContainsRune(s.directory, 0) {
		errs = append(errs, c.Place("directory").Errorf("directory must be an absolute path, not %q", s.directory))
	}
	if events.OwnType(c.Type) {
		errs = append(errs, c.Place("type").Errorf("type %s is reserved for jet-bus itself", c.Type))
	} else if c.Type != "" {
		if _, err := events.New("/", c.Type, nil); err != nil {
			errs = append(errs, c.Place("type").Errorf("type: %w", err))
		}
	}
	var err error
	s.stopAfter, err = strictyaml.Span("stop_after", c.StopAfter, minStopAfter, maxStopAfter, defaultStopAfter)
	errs = append(errs, c.Place("stop_after").Wrap(err))
	s.restartAfter, err = strictyaml.Span("restart_after", c.RestartAfter, minRestart, maxRestart, 0)
	errs = append(errs, c.Place("restart_after").Wrap(err))
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return s, nil
}

func (c Config) checkCommand() error {
	if len(c.Command) == 0 {
		return c.Place("command").Errorf("command must name a program, as a list of its path and arguments")
	}
	size := 0
	for _, arg := range c.Command {
		size += len(arg)
		if strings.ContainsRune(arg, 0) {
			return c.Place("command").Errorf("command: an argument has a zero byte")
		}
	}
	switch path := c.Command[0]; {
	case !filepath.IsAbs(path):
		return c.Place("command").Errorf("command must begin with the absolute path of a program on jet-bus's machine, not %q; no shell reads it, "+
			"and no PATH is searched", path)
	case len(c.Command) > maxArguments || size > maxCommandSize:
		return c.Place("command").Errorf("command has %d arguments of %d bytes; at most %d, and %d bytes", len(c.Command), size, maxArguments, maxCommandSize)
	}
	return nil
}

func (c Config) checkEnvironment() error {
	var errs []error
	name := regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	for _, key := range slices.Sorted(maps.Keys(c.Environment)) {
		switch value := c.Environment[key]; {
		case !name.MatchString(key):
			errs = append(errs, c.Place("environment").Errorf("environment: %q is no name of a variable: letters, digits and _", key))
		case key == varSource || key == varLastEventID:
			errs = append(errs, c.Place("environment").Errorf("environment: %s is set by jet-bus itself", key))
		case strings.ContainsRune(value, 0) || len(value) > maxCommandSize:
			errs = append(errs, c.Place("environment").Errorf("environment: the value of %s has a zero byte, or more than %d bytes", key, maxCommandSize))
		}
	}
	return errors.Join(errs...)
}
