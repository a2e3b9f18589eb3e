package notify

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"

	"github.com/jet-bus/jet-bus/internal/strictyaml"
	"github.com/jet-bus/jet-bus/rules"
)

// File is the name of the file of targets, at the root of a content directory. It
// need not be there.
const File = "notify.yml"

const (
	maxTargets = 100
	maxName    = 64
	// How long one attempt may take.
	minTimeout, maxTimeout = time.Second, time.Minute
	webhookTimeout         = 10 * time.Second
	emailTimeout           = 30 * time.Second
)

// Targets are the people that can be told, by name. The zero value has none. They
// are not changed after [Read] and may be used by several goroutines.
type Targets struct{ byName map[string]*target }

// Names returns the names of all targets, sorted.
func (t *Targets) Names() []string {
	if t == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(t.byName))
}

// target is who is told, and how. Exactly one of webhook and email is set.
type target struct {
	name    string
	timeout time.Duration
	webhook *webhook
	email   *email
}

// send makes one attempt. Its error says what went wrong without a secret.
func (t *target) send(ctx context.Context, w *wire, m Message) error {
	ctx, cancel := context.WithTimeoutCause(ctx, t.timeout, fmt.Errorf("no answer within %s", t.timeout))
	defer cancel()
	if t.webhook != nil {
		return t.webhook.send(ctx, w, m)
	}
	return t.email.send(ctx, w, m)
}

// secrets names the files that are read to send.
func (t *target) secrets() []string {
	var files []string
	if t.webhook != nil {
		files = []string{t.webhook.tokenFile, t.webhook.to.File}
	} else {
		files = []string{t.email.passwordFile}
	}
	return slices.DeleteFunc(files, func(s string) bool { return s == "" })
}

// Read reads the targets of a content directory, and checks that each target which
// a rule of the set names is one of them. It reports all faults, with their places.
// Without the file there are no targets. Secrets are not looked at: they are on
// the machine that sends.
func Read(content fs.FS, set *rules.Set) (*Targets, error) {
	t, err := read(content)
	if err != nil {
		return nil, err
	}
	return t, errors.Join(t.check(set.Rules())...)
}

func read(content fs.FS) (*Targets, error) {
	data, err := fs.ReadFile(content, File)
	if errors.Is(err, fs.ErrNotExist) {
		return &Targets{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the targets of notifications: %w", err)
	}
	f, err := strictyaml.Parse(File, data)
	if err != nil {
		return nil, err
	}
	var doc fileDoc
	if err := f.Decode(f.Root, &doc); err != nil {
		return nil, err
	}
	if len(doc.Targets) > maxTargets {
		return nil, f.Errorf(f.Root, "%d targets are too many, at most %d", len(doc.Targets), maxTargets)
	}
	t := &Targets{byName: make(map[string]*target)}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(doc.Targets)) {
		d := doc.Targets[name]
		if err := strictyaml.CheckName("target", name); err != nil {
			errs = append(errs, d.Pos.Wrap(err))
			continue
		}
		made, err := d.target(name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		t.byName[name] = made
	}
	return t, errors.Join(errs...)
}

// check tells which rules name a target that is not there.
func (t *Targets) check(all []*rules.Rule) []error {
	var errs []error
	for _, r := range all {
		for _, n := range r.Notify {
			switch _, ok := t.byName[n.To]; {
			case ok:
			case len(t.byName) == 0:
				errs = append(errs, n.Pos.Errorf("rule %s notifies %q, and there is no target: name it in %s", r.Name, n.To, File))
			default:
				errs = append(errs, n.Pos.Errorf("rule %s notifies %q, which is no target of %s%s", r.Name, n.To, File,
					strictyaml.Suggest(n.To, t.Names())))
			}
		}
	}
	return errs
}
