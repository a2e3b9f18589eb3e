package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"

	"github.com/jet-bus/jet-bus/internal/bus"
)

// Copy is a backup that has been checked.
type Copy struct {
	Manifest

	root *os.Root
}

// Open reads a backup and checks every byte of it. Close it.
func Open(ctx context.Context, dir string) (_ *Copy, err error) {
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no backup %s", dir)
	}
	if err != nil {
		return nil, fmt.Errorf("open the backup: %w", err)
	}
	c := &Copy{root: root}
	defer func() {
		if err != nil {
			_ = root.Close()
			err = fmt.Errorf("backup %s: %w", dir, err)
		}
	}()
	if c.Manifest, err = readManifest(root); err != nil {
		return nil, err
	}
	for _, s := range c.Streams {
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		if err := s.verified(root, s.examine); err != nil {
			return nil, err
		}
	}
	for _, f := range c.Files {
		if err := f.verified(root, nil); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Close ends the reading.
func (c *Copy) Close() error { return c.root.Close() }

// PutFiles writes the keys and hooks.yml, if the backup has them, into a data
// directory that has none.
func (c *Copy) PutFiles(data string) error {
	for _, f := range c.Files {
		text, err := readAll(c.root, f.Name, maxSmall)
		if err != nil {
			return fmt.Errorf("restore %s: %w", f.Name, err)
		}
		if dir := path.Dir(f.Name); dir != "." {
			if err := os.MkdirAll(path.Join(data, dir), 0o700); err != nil {
				return fmt.Errorf("restore %s: %w", f.Name, err)
			}
		}
		if _, err := store(data, f.Name, func(w io.Writer) error {
			_, err := w.Write(text)
			return err
		}); err != nil {
			return fmt.Errorf("restore: %w", err)
		}
	}
	return nil
}

// Load makes the streams of the backup on a bus that has none of them, and checks
// that they are there as far as they were copied; replicas is how many servers keep
// each. It needs the role bus.
func (c *Copy) Load(ctx context.Context, b *bus.Bus, replicas int) error {
	for _, s := range c.Streams {
		if err := c.load(ctx, b, s, replicas); err != nil {
			return err
		}
		stream, err := b.JS.Stream(ctx, s.Stream)
		if err != nil {
			return fmt.Errorf("look at what was restored of %s: %w", s.Stream, err)
		}
		if last := stream.CachedInfo().State.LastSeq; last != s.LastSeq {
			return fmt.Errorf("stream %s was restored up to sequence %d, not %d", s.Stream, last, s.LastSeq)
		}
	}
	return nil
}

func (c *Copy) load(ctx context.Context, b *bus.Bus, s Stream, replicas int) error {
	f, err := open(c.root, s.Name)
	if err != nil {
		return fmt.Errorf("restore stream %s: %w", s.Stream, err)
	}
	defer func() { _ = f.Close() }()
	config, err := copies(s.Config, replicas)
	if err != nil {
		return fmt.Errorf("restore stream %s: %w", s.Stream, err)
	}
	return b.Restore(ctx, s.Stream, bus.Snapshot{
		Config: config, State: s.State, Messages: s.Messages, FirstSeq: s.FirstSeq, LastSeq: s.LastSeq,
	}, f)
}

// copies makes the configuration of a stream one of so many copies, on any servers.
func copies(config json.RawMessage, replicas int) (json.RawMessage, error) {
	var c map[string]json.RawMessage
	if err := json.Unmarshal(config, &c); err != nil {
		return nil, fmt.Errorf("decode its configuration: %w", err)
	}
	c["num_replicas"] = json.RawMessage(strconv.Itoa(replicas))
	delete(c, "placement")
	if replicas > 1 {
		delete(c, "persist_mode") // there is no choice then
	}
	return json.Marshal(c)
}
