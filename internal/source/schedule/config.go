package schedule

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // zones for machines that have none; package rules brings them anyway

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/source"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

const (
	leastEvery = time.Second
	mostJitter = 24 * time.Hour
	mostDates  = 1000
	// mostData is the most bytes of data in JSON: half of what an event may have.
	mostData = 128 << 10
)

// What becomes of times that passed while nothing ran.
const (
	missedSkip = "skip"
	missedLast = "last"
	missedAll  = "all"
)

// Config is the form of a schedule in sources.yml.
type Config struct {
	strictyaml.Keyed
	// Cron, Every and At say when; it is one of them. Cron has five fields, or one of
	// the short names such as @daily. Every is whole seconds, counted since 1970.
	Cron  string         `yaml:"cron"`
	Every *time.Duration `yaml:"every"`
	At    Dates          `yaml:"at"`
	// Zone is the IANA name of the zone that Cron is meant in; UTC if it is empty.
	Zone string `yaml:"zone"`
	// Missed says what becomes of times that passed while nothing ran: skip, last
	// (which it is if empty) or all.
	Missed string `yaml:"missed"`
	// Jitter is how much later an event may come, each by an amount of its own.
	Jitter time.Duration `yaml:"jitter"`
	// Type is the events' type, if it is not to be [events.TypeScheduleDue].
	Type string `yaml:"type"`
	// Subject is the events' subject; the source's name if it is empty.
	Subject string `yaml:"subject"`
	// Data is handed on with each event.
	Data any `yaml:"data"`
}

// Dates are given times: one, or a list. In the file they are RFC 3339.
type Dates []time.Time

// UnmarshalNode reads one time or a list of times.
func (d *Dates) UnmarshalNode(f *strictyaml.File, n *yaml.Node) error {
	list := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		list = n.Content
	}
	if len(list) == 0 || len(list) > mostDates {
		return f.Errorf(n, "at: has %d times; it takes 1 to %d", len(list), mostDates)
	}
	var errs []error
	for _, item := range list {
		var text string
		if err := f.Decode(item, &text); err != nil {
			errs = append(errs, err)
			continue
		}
		t, err := time.Parse(time.RFC3339, text)
		if err != nil || t.Nanosecond() != 0 {
			errs = append(errs, f.Errorf(item, "at: %q is not a time such as 2026-12-24T18:00:00+01:00", text))
			continue
		}
		*d = append(*d, t.UTC())
	}
	return errors.Join(errs...)
}

// Source checks the configuration and makes the source. The error is all faults,
// each with its place.
func (c Config) Source() (source.Source, error) {
	s := &schedule{missed: c.Missed, jitter: c.Jitter, typ: c.Type, subject: c.Subject}
	if s.missed == "" {
		s.missed = missedLast
	}
	var errs []error
	fault := func(key, format string, args ...any) { errs = append(errs, c.Place(key).Errorf(format, args...)) }

	if err := c.fillTimes(s); err != nil {
		errs = append(errs, err)
	}
	if !slices.Contains([]string{missedSkip, missedLast, missedAll}, s.missed) {
		fault("missed", "missed must be skip, last or all, not %q", c.Missed)
	}
	if c.Jitter < 0 || c.Jitter > mostJitter {
		fault("jitter", "jitter must be at most %s, not %s", mostJitter, c.Jitter)
	}
	if events.OwnType(c.Type) {
		fault("type", "type: %s is one of jet-bus's own; leave type out to have %s", c.Type, events.TypeScheduleDue)
	} else if key, err := checkAttributes(c.Type, c.Subject); err != nil {
		fault(key, "%s: %w", key, err)
	}
	if c.Data != nil {
		data, err := json.Marshal(c.Data)
		switch {
		case err != nil:
			fault("data", "data cannot be JSON: %w", err)
		case len(data) > mostData:
			fault("data", "data takes %d bytes of JSON; at most %d fit", len(data), mostData)
		}
		s.data = data
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return s, nil
}

// fillTimes sets the times and what tells them from others.
func (c Config) fillTimes(s *schedule) error {
	given := 0
	for _, is := range []bool{c.Cron != "", c.Every != nil, c.At != nil} {
		if is {
			given++
		}
	}
	if given != 1 {
		return c.Errorf("a schedule needs one of cron, every and at")
	}
	if c.Zone != "" && c.Cron == "" {
		return c.Place("zone").Errorf("zone says in which zone cron is meant; it says nothing without cron")
	}
	switch {
	case c.Cron != "":
		zone, err := loadZone(c.Zone)
		if err != nil {
			return c.Place("zone").Errorf("zone: %w", err)
		}
		times, err := parseCron(c.Cron, zone)
		if err != nil {
			return c.Place("cron").Errorf("cron: %w", err)
		}
		s.times = times
		s.spec = "cron " + strings.Join(strings.Fields(strings.ToLower(c.Cron)), " ") + " " + zone.String()
	case c.Every != nil:
		if *c.Every < leastEvery || *c.Every%time.Second != 0 {
			return c.Place("every").Errorf("every must be whole seconds, at least one, not %s", *c.Every)
		}
		s.times, s.spec = every(*c.Every), "every "+c.Every.String()
	default:
		list := slices.Clone(c.At)
		slices.SortFunc(list, time.Time.Compare)
		s.times, s.spec = dates(list), "at "+digest(list)
	}
	return nil
}

func loadZone(name string) (*time.Location, error) {
	if name == "" {
		return time.UTC, nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, fmt.Errorf("%q is no zone such as Europe/Berlin or UTC", name)
	}
	return zone, nil
}

// checkAttributes reports what keeps an event from having the type and the subject.
func checkAttributes(typ, subject string) (key string, err error) {
	if typ == "" {
		typ = events.TypeScheduleDue
	}
	e, err := events.New(source.Of("name"), typ, nil)
	if err != nil {
		return "type", err
	}
	if subject == "" {
		return "", nil
	}
	e.SetSubject(subject)
	if err := events.Check(e); err != nil {
		return "subject", err
	}
	return "", nil
}
