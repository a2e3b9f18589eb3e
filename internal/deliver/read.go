package deliver

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"slices"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/outbound"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
	"github.com/jet-bus/jet-bus/rules"
)

// File is the name of the file of subscriptions, at the root of a content directory.
// It need not be there.
const File = "subscriptions.yml"

const (
	maxSubscriptions = 100
	// maxTypes bounds the types of one subscription: the server compares each.
	maxTypes    = 100
	maxParallel = 32

	minTimeout, maxTimeout, defaultTimeout = time.Second, time.Minute, 10 * time.Second
	minTryFor, maxTryFor, defaultTryFor    = time.Second, 7 * 24 * time.Hour, 24 * time.Hour
)

// fileDoc is the form of subscriptions.yml.
type fileDoc struct {
	Subscriptions map[string]doc `yaml:"subscriptions,required"`
}

type doc struct {
	strictyaml.Keyed
	On          yaml.Node         `yaml:"on"`
	Condition   yaml.Node         `yaml:"condition"`
	URL         string            `yaml:"url"`
	URLFile     string            `yaml:"url_file"`
	Mode        string            `yaml:"mode"`
	TokenFile   string            `yaml:"token_file"`
	SigningFile string            `yaml:"signing_file"`
	Headers     map[string]string `yaml:"headers"`
	Timeout     *time.Duration    `yaml:"timeout"`
	TryFor      *time.Duration    `yaml:"try_for"`
	Parallel    *int              `yaml:"parallel"`
}

// Read reads the subscriptions of a content directory. It reports all faults, with
// their places. Without the file there are no subscriptions. Secrets are not looked
// at: they are on the machine that sends.
func Read(content fs.FS) (*Subscriptions, error) {
	data, err := fs.ReadFile(content, File)
	if errors.Is(err, fs.ErrNotExist) {
		return &Subscriptions{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the subscriptions: %w", err)
	}
	f, err := strictyaml.Parse(File, data)
	if err != nil {
		return nil, err
	}
	if f.Root == nil {
		return nil, strictyaml.Pos{File: File}.Errorf("is empty; it has a mapping called subscriptions, or need not be there")
	}
	var all fileDoc
	errs := []error{f.Decode(f.Root, &all)}
	if len(all.Subscriptions) > maxSubscriptions {
		errs = append(errs, f.Errorf(f.Root, "%d subscriptions are too many, at most %d", len(all.Subscriptions), maxSubscriptions))
	}
	out := &Subscriptions{byName: make(map[string]*subscription)}
	for _, name := range slices.Sorted(maps.Keys(all.Subscriptions)) {
		d := all.Subscriptions[name]
		errs = append(errs, d.Pos.Wrap(strictyaml.CheckName("subscription", name)))
		s, err := d.subscription(f, data, name)
		errs = append(errs, err)
		out.byName[name] = s
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return out, nil
}

// subscription checks what a subscription says, and takes it over. No fault shows the
// URL.
func (d *doc) subscription(f *strictyaml.File, data []byte, name string) (*subscription, error) {
	s := &subscription{
		name: name, mode: mode(cmp.Or(d.Mode, string(structured))), tokenFile: d.TokenFile, signingFile: d.SigningFile,
		headers: make(http.Header), parallel: 1,
	}
	var errs []error
	fault := func(key string, err error) { errs = append(errs, d.Place(key).Wrap(err)) }
	var err error
	s.filter, err = rules.ReadFilter(f, data, &d.On, &d.Condition)
	if err != nil {
		errs = append(errs, err)
	} else {
		fault("on", checkTypes(s.filter.On()))
	}
	fault("url", d.address(s))
	for _, file := range []struct{ key, name string }{
		{"url_file", d.URLFile}, {"token_file", d.TokenFile}, {"signing_file", d.SigningFile},
	} {
		fault(file.key, outbound.CheckFile(file.key, file.name))
	}
	for _, key := range slices.Sorted(maps.Keys(d.Headers)) {
		if err := checkHeader(key, d.Headers[key]); err != nil {
			fault("headers", err)
			continue
		}
		s.headers.Set(key, d.Headers[key])
	}
	s.timeout, err = strictyaml.Span("timeout", d.Timeout, minTimeout, maxTimeout, defaultTimeout)
	fault("timeout", err)
	s.tryFor, err = strictyaml.Span("try_for", d.TryFor, minTryFor, maxTryFor, defaultTryFor)
	fault("try_for", err)
	if !slices.Contains([]mode{structured, binary, batch}, s.mode) {
		fault("mode", fmt.Errorf("mode must be structured, binary or batch, not %q", s.mode))
	}
	if d.Parallel != nil {
		s.parallel = *d.Parallel
	}
	switch {
	case s.parallel < 1 || s.parallel > maxParallel:
		fault("parallel", fmt.Errorf("parallel must be 1 to %d, not %d", maxParallel, s.parallel))
	case s.parallel > 1 && s.mode == batch:
		fault("parallel", errors.New("parallel is for single events; batches go one after the other"))
	}
	return s, errors.Join(errs...)
}

func (d *doc) address(s *subscription) error {
	s.to = outbound.Address{File: d.URLFile, Secret: d.TokenFile != "" || d.SigningFile != ""}
	if (d.URL == "") == (d.URLFile == "") {
		return errors.New("a subscription needs either a url or a url_file")
	}
	if d.URL == "" {
		return nil
	}
	var err error
	s.to.URL, err = outbound.ParseURL(d.URL, s.to.Secret)
	return err
}

// checkTypes tells of types that are never delivered, or too many.
func checkTypes(on []string) error {
	if len(on) > maxTypes {
		return fmt.Errorf("on: %d types are too many, at most %d", len(on), maxTypes)
	}
	if slices.Contains(on, events.TypeClockTicked) {
		return fmt.Errorf("on: %s is never delivered", events.TypeClockTicked)
	}
	return nil
}

func checkHeader(name, value string) error {
	key := http.CanonicalHeaderKey(name)
	if len(key) > len("Ce-") && key[:len("Ce-")] == "Ce-" {
		return fmt.Errorf("headers: %s is set by jet-bus itself", key)
	}
	return outbound.CheckHeader(name, value, headerID, headerTimestamp, headerSignature)
}
