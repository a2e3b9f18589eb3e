package busd

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/jet-bus/jet-bus/internal/intake"
	"github.com/jet-bus/jet-bus/internal/pause"
	"github.com/jet-bus/jet-bus/internal/source/webhook"
)

// hookFile keeps the hooks in service at what a file says.
type hookFile struct {
	// name is empty if there is none; with optional it need not be there.
	name     string
	optional bool

	mu sync.Mutex // for looking
	// files are those that it named when it was read last, good or not, and seen is how
	// all of them looked then.
	files []string
	seen  string
	file  webhook.File // in service
	// refused is why the file is not in service as it is now, and since when; nil if it is.
	refused      error
	refusedSince time.Time
}

// readHooks reads the webhooks at the start.
func (p *Process) readHooks() error {
	h := &p.hookFile
	h.name, h.optional = p.o.HooksFile, p.o.HooksOptional
	if h.name == "" {
		return p.o.Git.checkHook(p.o.Hooks)
	}
	file, err := h.read()
	if err != nil {
		return err
	}
	h.file = file
	return p.o.Git.checkHook(append(slices.Clone(p.o.Hooks), file.Hooks...))
}

// hooks returns the webhooks, of which one may have content looked at, and each stores
// events in its way.
func (p *Process) hooks(file webhook.File) []webhook.Hook {
	all := append(slices.Clone(p.o.Hooks), file.Hooks...)
	for i, h := range all {
		if p.o.Git != nil && h.Name == p.o.Git.Hook {
			all[i].Delivered = p.contents.nudge
		}
		if h.Kind != webhook.CloudEvents && h.Publisher == nil {
			all[i].Publisher = p.lasting
		}
	}
	return all
}

// keepHooks looks whether the hooks file, or a file that it names, has changed, until ctx
// ends, and puts in service what is new.
func (p *Process) keepHooks(ctx context.Context) error {
	if p.hookFile.name == "" {
		<-ctx.Done()
		return nil
	}
	for pause.For(ctx, watchEvery) {
		if !p.hooksChanged() {
			continue
		}
		// Let whoever writes come to an end.
		if !pause.For(ctx, settleFor) {
			break
		}
		p.reloadHooks(false)
	}
	return nil
}

func (p *Process) hooksChanged() bool {
	h := &p.hookFile
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.mark(h.files) != h.seen
}

// reloadHooks puts in service what the hooks file says, all of it or nothing, and logs
// what came of it. With again it is read even if it looks as it did.
func (p *Process) reloadHooks(again bool) {
	h := &p.hookFile
	if h.name == "" {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !again && h.mark(h.files) == h.seen {
		return
	}
	file, err := h.read()
	if h.seen == absent && err == nil && len(h.file.Hooks) == 0 {
		h.refused = nil
		return
	}
	if h.seen == absent && err == nil {
		err = fmt.Errorf("%s is gone; if there are to be no webhooks, write hooks: [] into it", h.name)
	}
	if err == nil {
		err = p.o.Git.checkHook(append(slices.Clone(p.o.Hooks), file.Hooks...))
	}
	if err == nil {
		err = p.receiver.Use(p.hooks(file), file.Proxies)
	}
	if err != nil {
		p.log.Error("webhooks not reloaded, those before stay in service", slog.Any("err", err))
		if h.refused == nil {
			h.refusedSince = time.Now()
		}
		h.refused = err
		return
	}
	h.refused = nil
	if err := p.intake.UseBackfills(file.Backfills); err != nil {
		p.log.Error("backfills of webhooks not reloaded, those before stay in service", slog.Any("err", err))
	}
	h.file = file
	p.log.Info("webhooks reloaded", slog.String("file", h.name), slog.Int("webhooks", len(file.Hooks)))
}

// read reads the file and notes how it looked: before, so that what changes meanwhile is
// a change. A file that is not there and need not be has no hooks.
func (h *hookFile) read() (file webhook.File, err error) {
	for range 3 { // again, until all the files that are named were looked at
		h.seen = h.mark(h.files)
		if h.seen == absent && h.optional {
			return webhook.File{}, nil
		}
		file, err = webhook.Load(h.name)
		same := slices.Equal(file.Files, h.files)
		if h.files = file.Files; same {
			break
		}
	}
	return file, err
}

// absent is the mark of a hooks file that is not there.
const absent = "absent"

// mark is how the hooks file and other files look: what is in them, and who may read them.
func (h *hookFile) mark(others []string) string {
	if _, err := os.Stat(h.name); errors.Is(err, fs.ErrNotExist) {
		return absent
	}
	sum := sha256.New()
	for _, name := range append([]string{h.name}, others...) {
		info, err := os.Stat(name)
		if err != nil {
			_, _ = fmt.Fprintf(sum, "%q %v\n", name, err)
			continue
		}
		data, err := os.ReadFile(name)
		_, _ = fmt.Fprintf(sum, "%q %v %d %x %v\n", name, info.Mode(), len(data), sha256.Sum256(data), err)
	}
	return fmt.Sprintf("%x", sum.Sum(nil))
}

// hooksFare tells how the webhooks in service fare. That somebody is refused is no
// failure of the webhook: anybody may try.
func (p *Process) hooksFare() []intake.State {
	all := p.hookFile.fares()
	for _, h := range p.receiver.Health() {
		s := intake.State{
			Name: intake.HookName(h.Name), Kind: string(h.Kind), State: intake.OK, Since: h.Since, Events: h.Accepted,
		}
		if h.Accepted+h.Duplicate+h.Ignored == 0 {
			s.State = intake.Waiting
		}
		if e := h.Event; e != nil {
			s.Event = &intake.Event{ID: e.ID, Type: e.Type, At: e.At}
		}
		if r := h.Refusal; r != nil {
			s.Error, s.ErrorAt = fmt.Sprintf("refused with %d: %s", r.Status, r.Reason), r.At
		}
		all = append(all, s)
	}
	return all
}

// fares tells that the file was refused, under its own name, as long as it is.
func (h *hookFile) fares() []intake.State {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.refused == nil {
		return nil
	}
	at := h.refusedSince.UTC()
	return []intake.State{{
		Name: intake.HookName(filepath.Base(h.name)), Kind: "file", State: intake.Failing, Since: at, Checked: at, FailedSince: at, Failures: 1,
		Error: "refused, the webhooks before it are in service: " + h.refused.Error(), ErrorAt: at,
	}}
}

// keepHooksFare writes on the bus how the webhooks fare, until ctx ends.
func (p *Process) keepHooksFare(ctx context.Context) error {
	return intake.Keep(ctx, p.Bus, p.o.Name, p.log, p.hooksFare)
}
