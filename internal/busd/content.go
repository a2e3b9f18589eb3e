package busd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/inventory"
	"github.com/jet-bus/jet-bus/internal/content"
	"github.com/jet-bus/jet-bus/internal/dispatch"
	"github.com/jet-bus/jet-bus/internal/queue"
	"github.com/jet-bus/jet-bus/modules"
	"github.com/jet-bus/jet-bus/rules"
)

// loaded is a content directory, read and found to be sound.
type loaded struct {
	dispatch.Content
	bundle content.Bundle
}

// load reads the content directory: its rules as one set, all of it as a bundle.
// All faults are reported, those of playbooks and inventories too: a job that is
// bound to fail is better never made.
func load(ctx context.Context, dir string) (loaded, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return loaded{}, fmt.Errorf("read content: %w", err)
	}
	if !info.IsDir() {
		return loaded{}, fmt.Errorf("read content: %s is not a directory", dir)
	}
	bundle, err := content.Build(ctx, dir)
	if err != nil {
		return loaded{}, err
	}
	// The rules are read from the bundle, so that what is in force and what
	// runners get are the same files even if somebody is editing them.
	tmp, err := os.MkdirTemp("", "jet-bus-content-")
	if err != nil {
		return loaded{}, fmt.Errorf("read content: %w", err)
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	unpacked, err := content.Unpack(ctx, bytes.NewReader(bundle.Data), bundle.Digest, tmp)
	if err != nil {
		return loaded{}, err
	}
	set, err := rules.Load(os.DirFS(unpacked), "rules")
	if err != nil {
		return loaded{}, err
	}
	p, err := newPlans(ctx, unpacked, set)
	if err != nil {
		return loaded{}, err
	}
	return loaded{Content: dispatch.Content{Set: set, Bundle: bundle.Digest, Hosts: p.hosts}, bundle: bundle}, nil
}

// plans are the playbooks and inventories of a content directory, by which it is
// known before a job runs which hosts it will touch. They are safe for concurrent
// use.
type plans struct {
	playbooks map[string]*engine.Playbook
	// inventories has none for a program, which says how things are when it is asked.
	inventories map[string]*inventory.Inventory

	mu    sync.Mutex
	known map[string][]string // hosts by playbook, inventory and limit
}

// maxKnown bounds how many selections of hosts are kept.
const maxKnown = 1024

// newPlans reads what the rules of a set name below dir.
func newPlans(ctx context.Context, dir string, set *rules.Set) (*plans, error) {
	reg, err := engine.NewRegistry(modules.Table()...)
	if err != nil {
		return nil, err
	}
	p := &plans{
		playbooks: map[string]*engine.Playbook{}, inventories: map[string]*inventory.Inventory{}, known: map[string][]string{},
	}
	var errs []error
	fault := func(r *rules.Rule, err error) {
		if err != nil {
			// As the author knows the files, not where we have put them.
			errs = append(errs, fmt.Errorf("rule %s: %s", r.Name, strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), "")))
		}
	}
	for _, r := range set.Rules() {
		missing := false
		for _, name := range []string{r.Run.Playbook, r.Run.Inventory} {
			if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(name))); err != nil {
				errs = append(errs, r.Pos.Errorf("rule %s: %s is not in the content directory", r.Name, name))
				missing = true
			}
		}
		if missing {
			continue
		}
		fault(r, p.readPlaybook(dir, r.Run.Playbook, reg))
		fault(r, p.readInventory(ctx, dir, r.Run.Inventory))
	}
	return p, errors.Join(errs...)
}

// readPlaybook parses a playbook, once.
func (p *plans) readPlaybook(dir, name string, reg *engine.Registry) (err error) {
	if _, ok := p.playbooks[name]; ok {
		return nil
	}
	file := filepath.Join(dir, filepath.FromSlash(name))
	p.playbooks[name], err = engine.Parse(file, reg, engine.ParseOptions{RolesPath: []string{filepath.Join(dir, "roles")}})
	return err
}

// readInventory loads an inventory, once.
func (p *plans) readInventory(ctx context.Context, dir, name string) error {
	if _, ok := p.inventories[name]; ok {
		return nil
	}
	path := filepath.Join(dir, filepath.FromSlash(name))
	p.inventories[name] = nil
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		return err
	}
	inv, err := inventory.Load(ctx, path)
	if err == nil {
		p.inventories[name] = inv
	}
	return err
}

// hosts returns the hosts that an action will touch, sorted; nil if that is not
// known: the runner will find out, and say what is wrong. The slice must not be
// changed.
func (p *plans) hosts(a *rules.Action) []string {
	inv := p.inventories[a.Inventory]
	if inv == nil {
		return nil
	}
	key := strings.Join(append([]string{a.Playbook, a.Inventory}, a.Limit...), "\x00")
	p.mu.Lock()
	hosts, ok := p.known[key]
	p.mu.Unlock()
	if ok {
		return hosts
	}
	hosts, err := p.playbooks[a.Playbook].Hosts(inv, a.Limit)
	if err != nil || len(hosts) == 0 || len(hosts) > queue.MaxHosts {
		hosts = nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.known) >= maxKnown {
		clear(p.known)
	}
	p.known[key] = hosts
	return hosts
}
