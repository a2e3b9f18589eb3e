package runner

import (
	"context"
	"os"
	"sync"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/inventory"
)

// cacheSize bounds how many playbooks, and how many inventories, are kept.
const cacheSize = 64

// cache keeps what was read of content, which never changes: its path holds its
// digest. Many jobs run the same playbook; reading it again for each would cost
// more than everything else a small job does. It is safe for concurrent use, and
// so is what it returns.
type cache struct {
	mu          sync.Mutex
	playbooks   map[string]*engine.Playbook
	inventories map[string]*inventory.Inventory
}

func (c *cache) playbook(file string, parse func() (*engine.Playbook, error)) (*engine.Playbook, error) {
	return remember(&c.mu, &c.playbooks, file, parse)
}

// inventory loads an inventory. One that is a program is asked each time: it
// says how things are now.
func (c *cache) inventory(ctx context.Context, path string) (*inventory.Inventory, error) {
	load := func() (*inventory.Inventory, error) { return inventory.Load(ctx, path) }
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		return load()
	}
	return remember(&c.mu, &c.inventories, path, load)
}

// remember returns what is kept under key, or makes and keeps it. Faults are not
// kept. When there are too many entries, all go: they are cheap to make again.
func remember[T any](mu *sync.Mutex, entries *map[string]T, key string, load func() (T, error)) (T, error) {
	mu.Lock()
	v, ok := (*entries)[key]
	mu.Unlock()
	if ok {
		return v, nil
	}
	v, err := load()
	if err != nil {
		return v, err
	}
	mu.Lock()
	defer mu.Unlock()
	if *entries == nil || len(*entries) >= cacheSize {
		*entries = make(map[string]T)
	}
	(*entries)[key] = v
	return v, nil
}
