package busd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/content"
	"github.com/jet-bus/jet-bus/internal/deliver"
	"github.com/jet-bus/jet-bus/internal/dispatch"
	"github.com/jet-bus/jet-bus/internal/intake"
	"github.com/jet-bus/jet-bus/internal/notify"
	"github.com/jet-bus/jet-bus/internal/ordered"
	"github.com/jet-bus/jet-bus/internal/plans"
	"github.com/jet-bus/jet-bus/internal/repo"
	"github.com/jet-bus/jet-bus/rules"
)

// loaded is content, read and found to be sound.
type loaded struct {
	dispatch.Content
	bundle  content.Bundle
	targets *notify.Targets
	subs    *deliver.Subscriptions
	sources *intake.Sources
}

// contentSource is where content comes from, and what has become of it.
type contentSource struct {
	dir  string     // the directory, empty if there is
	repo *repo.Repo // the repository
	// judge reads what is in a bundle.
	judge judge
	// pull asks for a look at once.
	pull chan struct{}

	// reading is held while the source is looked at, which may take minutes.
	reading sync.Mutex
	seen    sighting
	away    bool // it could not be looked at, and that was told

	// mu is held while content comes into force.
	mu      sync.Mutex
	inForce dispatch.Content
	pin     dispatch.Pin // zero: none
}

// sighting is what the source had when it was looked at.
type sighting struct {
	mark    string // a commit, or the fingerprint of the directory
	bundle  string
	refused bool
}

// troubleError is why a source could not be looked at. Its content may be as good as
// ever.
type troubleError struct{ error }

func (e troubleError) Unwrap() error { return e.error }

// newContentSource says where content comes from.
func newContentSource(o Options) (*contentSource, error) {
	c := &contentSource{dir: o.Content, pull: make(chan struct{}, 1), judge: judge{kinds: o.Kinds, exec: o.AllowExec}}
	if o.Kinds == nil {
		c.judge.kinds = intake.All()
	}
	if o.Git != nil {
		r := o.Git.Options
		r.Dir = filepath.Join(o.Data, "content-git")
		var err error
		if c.repo, err = repo.New(r); err != nil {
			return nil, fmt.Errorf("content from a repository: %w", err)
		}
		c.dir = ""
	}
	return c, nil
}

// mark tells what the source has now from what it had before. It may go over the
// network.
func (c *contentSource) mark(ctx context.Context) (mark string, err error) {
	if c.repo != nil {
		mark, err = c.repo.Fetch(ctx)
	} else if err = isDir(c.dir); err == nil {
		mark, err = content.Fingerprint(ctx, c.dir)
	}
	if err != nil {
		return "", troubleError{err}
	}
	return mark, nil
}

// settled reports whether the source has, as far as is known, nothing new.
func (c *contentSource) settled(mark string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return mark == c.seen.mark && (c.seen.refused || c.seen.bundle == c.inForce.Bundle)
}

// origin says where content with this mark comes from.
func (c *contentSource) origin(mark string) dispatch.Origin {
	if c.repo != nil {
		return dispatch.Origin{From: c.repo.String(), Revision: mark}
	}
	dir, err := filepath.Abs(c.dir)
	if err != nil {
		dir = c.dir
	}
	return dispatch.Origin{From: dir}
}

// startPatience is how long a start waits for a repository where there may be earlier
// content to go on with.
const startPatience = 30 * time.Second

// read looks at the source for the first time.
func (c *contentSource) read(ctx context.Context, earlier bool) (mark string, l loaded, err error) {
	if earlier && c.repo != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, startPatience)
		defer cancel()
	}
	if mark, err = c.mark(ctx); err == nil {
		l, err = c.load(ctx, mark)
	}
	if err != nil && ctx.Err() != nil {
		err = troubleError{err}
	}
	return mark, l, err
}

// load reads what the source has: for a repository, the commit that is its mark. If
// its content has faults, the error comes with as much as is known of it.
func (c *contentSource) load(ctx context.Context, mark string) (l loaded, err error) {
	dir := c.dir
	if c.repo != nil {
		if dir, err = os.MkdirTemp("", "jet-bus-commit-"); err != nil {
			return l, troubleError{fmt.Errorf("read content: %w", err)}
		}
		defer func() { _ = os.RemoveAll(dir) }()
		err = c.repo.Checkout(ctx, mark, dir)
		l.Origin = c.origin(mark)
		if _, unfit := errors.AsType[repo.UnfitError](err); err != nil && !unfit {
			err = troubleError{err}
		}
		if err != nil {
			return l, err
		}
	}
	l, err = c.judge.load(ctx, dir)
	l.Origin = c.origin(mark)
	return l, err
}

// isDir says what is wrong with a content directory that is none.
func isDir(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("read content: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("read content: %s is not a directory", dir)
	}
	return nil
}

// judge says what may be in content.
type judge struct {
	// kinds are those of sources, exec allows those that run programs.
	kinds []intake.Kind
	exec  bool
}

// load reads a content directory: its rules as one set, all of it as a bundle.
func (j judge) load(ctx context.Context, dir string) (loaded, error) {
	if err := isDir(dir); err != nil {
		return loaded{}, troubleError{err}
	}
	bundle, err := content.Build(ctx, dir)
	if err != nil {
		return loaded{}, err
	}
	return j.bundle(ctx, bundle)
}

// bundle reads what is in a bundle, so that what is in force and what runners get are
// the same files even if somebody is editing them. All faults are reported, those of
// playbooks and inventories too: a job that is bound to fail is better never made.
func (j judge) bundle(ctx context.Context, bundle content.Bundle) (loaded, error) {
	l := loaded{Content: dispatch.Content{Bundle: bundle.Digest}, bundle: bundle}
	tmp, err := os.MkdirTemp("", "jet-bus-content-")
	if err != nil {
		return l, troubleError{fmt.Errorf("read content: %w", err)}
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	unpacked, err := content.Unpack(ctx, bytes.NewReader(bundle.Data), bundle.Digest, tmp)
	if err != nil {
		return l, troubleError{err}
	}
	if l.Set, err = rules.Load(os.DirFS(unpacked), "rules"); err != nil {
		return l, err
	}
	found, plansErr := plans.Read(ctx, unpacked, l.Set)
	targets, targetsErr := notify.Read(os.DirFS(unpacked), l.Set)
	subs, subsErr := deliver.Read(os.DirFS(unpacked))
	sources, sourcesErr := intake.Read(os.DirFS(unpacked), j.kinds)
	if sourcesErr == nil && !j.exec {
		sourcesErr = sources.Programs()
	}
	if err := errors.Join(plansErr, targetsErr, subsErr, sourcesErr); err != nil {
		return l, err
	}
	l.targets, l.subs, l.sources = targets, subs, sources
	l.Hosts = found.Hosts
	return l, nil
}

// fetch reads a content that was in force, from its bundle on the bus.
func (p *Process) fetch(ctx context.Context, digest string) (dispatch.Content, error) {
	none := dispatch.Content{}
	store, err := p.Bus.JS.ObjectStore(ctx, bus.ObjectsBundles)
	if err != nil {
		return none, fmt.Errorf("open the bundle store: %w", err)
	}
	tmp, err := os.MkdirTemp("", "jet-bus-content-")
	if err != nil {
		return none, fmt.Errorf("read content: %w", err)
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	dir, err := content.Fetch(ctx, store, digest, tmp)
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return none, fmt.Errorf("%w: %w", ordered.ErrNoContent, err)
	}
	if err != nil {
		return none, err
	}
	set, err := rules.Load(os.DirFS(dir), "rules")
	if err != nil {
		return none, fmt.Errorf("%w: %w", ordered.ErrNoContent, err)
	}
	c := dispatch.Content{Set: set, Bundle: digest}
	if known, err := plans.Read(ctx, dir, set); err == nil {
		c.Hosts = known.Hosts // without them a job finds its hosts itself
	}
	return c, nil
}
