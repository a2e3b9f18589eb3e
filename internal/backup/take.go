package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sys/unix"

	"github.com/jet-bus/jet-bus/internal/bus"
)

// Options says what goes into a backup beside the streams.
type Options struct {
	// Version is that of the program.
	Version string
	// Data is the data directory whose keys and hooks.yml are taken along; empty for
	// none. Secrets are the names of files directly in it that hooks.yml needs.
	Data    string
	Secrets []string
	// Progress, if set, is told of every stream that has been copied.
	Progress func(Stream)
}

// Take copies the bus to a directory, which must be new or empty, and checks what
// it wrote. Until that is done the copy is in a directory named like it, with
// .partial at the end; after an error nothing is left. It needs the role admin.
func Take(ctx context.Context, b *bus.Bus, dir string, o Options) (m Manifest, err error) {
	if b.Role != "admin" && b.Role != "bus" {
		return m, fmt.Errorf("a backup needs credentials of the role admin, and these are of the role %q", b.Role)
	}
	dir = filepath.Clean(dir)
	if err := Vacant(dir); err != nil {
		return m, err
	}
	partial := dir + ".partial"
	if err := os.Mkdir(partial, 0o700); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return m, fmt.Errorf("%s is there already: another backup is under way, or was killed; remove it in that case", partial)
		}
		return m, fmt.Errorf("make the backup: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(partial))
		}
	}()
	if m, err = take(ctx, b, partial, o); err != nil {
		return m, err
	}
	c, err := Open(ctx, partial)
	if err != nil {
		return m, fmt.Errorf("check what was written: %w", err)
	}
	if err := c.Close(); err != nil {
		return m, fmt.Errorf("check what was written: %w", err)
	}
	if err := os.Rename(partial, dir); err != nil {
		return m, fmt.Errorf("finish the backup: %w", err)
	}
	if err := flush(filepath.Dir(dir)); err != nil {
		return m, fmt.Errorf("finish the backup: %w", err)
	}
	return m, nil
}

func take(ctx context.Context, b *bus.Bus, dir string, o Options) (Manifest, error) {
	m := Manifest{Format: format, Version: o.Version, Server: b.Conn.ConnectedServerVersion(), Time: time.Now().UTC()}
	names, err := streams(ctx, b)
	if err != nil {
		return m, err
	}
	for _, d := range []string{"streams", "keys"} {
		if d == "keys" && o.Data == "" {
			continue
		}
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			return m, fmt.Errorf("make the backup: %w", err)
		}
	}
	for _, name := range names {
		s, err := copyStream(ctx, b, dir, name)
		if err != nil {
			return m, err
		}
		m.Streams = append(m.Streams, s)
		if o.Progress != nil {
			o.Progress(s)
		}
	}
	if o.Data != "" {
		if m.Files, err = copyKeys(o, dir); err != nil {
			return m, err
		}
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return m, fmt.Errorf("write the manifest: %w", err)
	}
	text = append(text, '\n')
	for name, text := range map[string]string{manifestFile: string(text), sumFile: m.sumLines(text)} {
		if _, err := store(dir, name, func(w io.Writer) error {
			_, err := io.WriteString(w, text)
			return err
		}); err != nil {
			return m, err
		}
	}
	return m, Flush(dir)
}

// streams returns the streams to copy, in the order that makes the copy
// consistent. What is kept in memory lives for seconds and is not copied, nor are
// wake-ups, which are sent again.
func streams(ctx context.Context, b *bus.Bus) ([]string, error) {
	var names []string
	list := b.JS.ListStreams(ctx)
	for info := range list.Info() {
		if info.Config.Storage == jetstream.FileStorage && info.Config.Name != bus.StreamJobs {
			names = append(names, info.Config.Name)
		}
	}
	if err := list.Err(); err != nil {
		return nil, fmt.Errorf("list the streams: %w", err)
	}
	for _, name := range []string{bus.StreamEvents, bus.StreamRuns} {
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("the bus has no stream %s: jet-bus was never started on it", name)
		}
	}
	// See doc.go on why in this order.
	first := []string{
		bus.ObjectStream(bus.ObjectsStates), bus.StreamDecisions, "KV_" + bus.BucketHeld, "KV_" + bus.BucketSources, bus.StreamSeen,
		bus.StreamEvents, bus.StreamRuns,
	}
	rank := func(name string) int {
		if i := slices.Index(first, name); i >= 0 {
			return i
		}
		return len(first)
	}
	slices.SortFunc(names, func(x, y string) int {
		if d := rank(x) - rank(y); d != 0 {
			return d
		}
		return strings.Compare(x, y)
	})
	return names, nil
}

func copyStream(ctx context.Context, b *bus.Bus, dir, name string) (Stream, error) {
	var snap bus.Snapshot
	f, err := store(dir, streamFile(name), func(w io.Writer) (err error) {
		snap, err = b.Snapshot(ctx, name, w)
		return err
	})
	s := Stream{
		Stream: name, File: f, Messages: snap.Messages, FirstSeq: snap.FirstSeq, LastSeq: snap.LastSeq,
		Config: snap.Config, State: snap.State,
	}
	if err != nil {
		return s, err
	}
	s.Gaps, err = s.complete(ctx, b, dir)
	return s, err
}

// copyKeys takes the keys, hooks.yml and its secrets of a data directory along.
func copyKeys(o Options, dir string) ([]File, error) {
	data := o.Data
	names, err := filepath.Glob(filepath.Join(data, "keys", "*.nk"))
	if err != nil {
		return nil, fmt.Errorf("copy the keys: %w", err)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("copy the keys: there are none in %s", filepath.Join(data, "keys"))
	}
	hooks := filepath.Join(data, hooksFile)
	if _, err := os.Stat(hooks); err == nil {
		names = append(names, hooks)
	}
	for _, name := range o.Secrets {
		if name != filepath.Base(name) || strings.HasPrefix(name, "manifest.") {
			return nil, fmt.Errorf("copy the secrets: %s is no file that a backup can have", name)
		}
		names = append(names, filepath.Join(data, name))
	}
	var files []File
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("copy the keys: %w", err)
		}
		rel, err := filepath.Rel(data, name)
		if err != nil {
			return nil, fmt.Errorf("copy the keys: %w", err)
		}
		f, err := store(dir, filepath.ToSlash(rel), func(w io.Writer) error {
			_, err := w.Write(text)
			return err
		})
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

// store writes a new file for its owner only, durably, and says what is in it.
func store(dir, name string, write func(io.Writer) error) (_ File, err error) {
	f, err := os.OpenFile(filepath.Join(dir, filepath.FromSlash(name)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return File{}, fmt.Errorf("write %s: %w", name, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	hash := sha256.New()
	if err := write(io.MultiWriter(f, hash)); err != nil {
		return File{}, fmt.Errorf("write %s: %w", name, err)
	}
	if err := f.Sync(); err != nil {
		return File{}, fmt.Errorf("write %s: %w", name, err)
	}
	info, err := f.Stat()
	if err != nil {
		return File{}, fmt.Errorf("write %s: %w", name, err)
	}
	return File{Name: name, Bytes: info.Size(), SHA256: hex.EncodeToString(hash.Sum(nil))}, nil
}

// Vacant refuses a directory that is there and not empty.
func Vacant(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("look at %s: %w", dir, err)
	case len(entries) > 0:
		return fmt.Errorf("%s is not empty; name a directory that is new", dir)
	}
	return nil
}

// Flush has the disk keep a directory and all that is in it.
func Flush(dir string) error {
	return filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return flush(name)
	})
}

func flush(name string) error {
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return fmt.Errorf("have the disk keep %s: %w", name, err)
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.Fsync(fd); err != nil {
		return fmt.Errorf("have the disk keep %s: %w", name, err)
	}
	return nil
}
