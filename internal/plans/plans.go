package plans

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/inventory"
	"github.com/jet-bus/jet-bus/internal/queue"
	"github.com/jet-bus/jet-bus/modules"
	"github.com/jet-bus/jet-bus/rules"
)

// Plans are the playbooks and inventories of a content directory. They are safe
// for concurrent use.
type Plans struct {
	playbooks map[string]*engine.Playbook
	// inventories has none for a program, which says how things are when it is asked.
	inventories map[string]*inventory.Inventory

	mu    sync.Mutex
	known map[string][]string // hosts by playbook, inventory and limit
}

// maxKnown bounds how many selections of hosts are kept.
const maxKnown = 1024

// Read reads what the rules of a set name below dir. All faults are reported,
// with their places below dir.
func Read(ctx context.Context, dir string, set *rules.Set) (*Plans, error) {
	reg, err := engine.NewRegistry(modules.Table()...)
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, fmt.Errorf("read content: %w", err)
	}
	p := &Plans{
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
		if r.Run == nil {
			continue
		}
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
		if inv := p.inventories[r.Run.Inventory]; inv != nil {
			errs = append(errs, checkLimit(r, inv, p.playbooks[r.Run.Playbook]))
		}
	}
	return p, errors.Join(errs...)
}

// checkLimit tells of a limit that selects no host, whatever the event: each of
// the rule's jobs would fail.
func checkLimit(r *rules.Rule, inv *inventory.Inventory, pb *engine.Playbook) error {
	names, whole := r.Run.FixedLimit()
	var errs []error
	var limit []string
	for _, n := range names {
		limit = append(limit, n.Text)
		if _, err := inv.Limit(nil, []string{n.Text}); err != nil {
			errs = append(errs, n.Pos.Errorf("rule %s: limit: %s selects no host of the inventory %s: %w", r.Name, n.Text, r.Run.Inventory, err))
		}
	}
	if len(errs) > 0 || !whole || len(names) == 0 {
		return errors.Join(errs...)
	}
	// Groups that are there, but have no hosts.
	hosts, err := inv.Limit(inv.Hosts(), limit)
	if err == nil && len(hosts) == 0 {
		return names[0].Pos.Errorf("rule %s: limit: %s selects no host of the inventory %s", r.Name, strings.Join(limit, ", "), r.Run.Inventory)
	}
	if err != nil || pb == nil {
		return err
	}
	// Hosts that the playbook is not for. Faults of its own it has told already.
	if _, err := pb.Hosts(inv, nil); err != nil {
		return nil //nolint:nilerr // without the limit as well
	}
	if _, err := pb.Hosts(inv, limit); err != nil {
		return names[0].Pos.Errorf("rule %s: limit: %s selects no host that the playbook %s is for", r.Name, strings.Join(limit, ", "), r.Run.Playbook)
	}
	return nil
}

// readPlaybook parses a playbook, once.
func (p *Plans) readPlaybook(dir, name string, reg *engine.Registry) (err error) {
	if _, ok := p.playbooks[name]; ok {
		return nil
	}
	file := filepath.Join(dir, filepath.FromSlash(name))
	p.playbooks[name], err = engine.Parse(file, reg, engine.ParseOptions{RolesPath: []string{filepath.Join(dir, "roles")}})
	return err
}

// readInventory loads an inventory, once.
func (p *Plans) readInventory(ctx context.Context, dir, name string) error {
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

// Hosts returns the hosts that an action will touch, sorted; nil if that is not
// known: the runner will find out, and say what is wrong. The slice must not be
// changed.
func (p *Plans) Hosts(a *rules.Action) []string {
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
