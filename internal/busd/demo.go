package busd

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
	"gopkg.in/yaml.v3"

	"github.com/jet-bus/jet-bus/engine/conn/local"
	"github.com/jet-bus/jet-bus/examples"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/queue"
	"github.com/jet-bus/jet-bus/internal/report"
	"github.com/jet-bus/jet-bus/internal/source/webhook"
)

// errDemo means that the demo ran and its job did not succeed.
var errDemo = errors.New("the demo's job did not succeed")

// demoWait bounds the demo: everything in it takes seconds.
const demoWait = 2 * time.Minute

// Demo shows the whole way from a webhook to a converged host in this process:
// it starts a bus with a runner on loopback, posts a signed release webhook to
// itself, and prints what follows. It needs no rights beyond the caller's and
// leaves nothing behind, unless keep is true: then it goes on until ctx ends.
func Demo(ctx context.Context, out io.Writer, colour, keep bool, log *slog.Logger) (err error) {
	dir, err := os.MkdirTemp("", "jet-bus-demo-")
	if err != nil {
		return fmt.Errorf("start the demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	d := &demo{out: out, dir: dir, printer: report.NewPrinter(out, colour)}
	secret := []byte(rand.Text())
	if err := d.unpack(); err != nil {
		return err
	}
	p, err := Start(ctx, Options{
		Data: filepath.Join(dir, "data"), Content: filepath.Join(dir, "content"),
		Listen: "127.0.0.1:0", HTTP: "127.0.0.1:0", Sync: busserver.Power,
		Hooks:  []webhook.Hook{{Name: "github", Kind: webhook.GitHub, Secrets: [][]byte{secret}}},
		Runner: &RunnerOptions{Dialer: local.Dialer{}}, Logger: log,
	})
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- p.Run(running) }()
	defer func() {
		stop()
		err = errors.Join(err, <-ended)
	}()

	d.say("jet-bus is up: bus %s, webhooks and status page %s", p.Addr.Bus, p.Addr.HTTP)
	waiting, cancel := context.WithTimeoutCause(ctx, demoWait, fmt.Errorf("the demo was not through in %s", demoWait))
	defer cancel()
	state, err := d.play(waiting, p, secret)
	if err != nil {
		return err
	}
	d.next(p, keep)
	if keep {
		<-ctx.Done()
	}
	if state != queue.Succeeded {
		return fmt.Errorf("%w: it is %s", errDemo, state)
	}
	return nil
}

type demo struct {
	out     io.Writer
	dir     string
	printer *report.Printer
}

func (d *demo) say(format string, args ...any) {
	_, _ = fmt.Fprintf(d.out, format+"\n", args...)
}

// unpack writes the quickstart's content, with a directory of its own to work in.
func (d *demo) unpack() error {
	root := filepath.Join(d.dir, "content")
	if err := os.CopyFS(root, examples.Quickstart()); err != nil {
		return fmt.Errorf("unpack the quickstart: %w", err)
	}
	name := filepath.Join(root, "inventory", "group_vars", "web")
	text, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("unpack the quickstart: %w", err)
	}
	vars := map[string]any{}
	if err := yaml.Unmarshal(text, &vars); err != nil {
		return fmt.Errorf("unpack the quickstart: %w", err)
	}
	vars["app_root"] = filepath.Join(d.dir, "app")
	if text, err = yaml.Marshal(vars); err != nil {
		return fmt.Errorf("unpack the quickstart: %w", err)
	}
	if err := os.WriteFile(name, text, 0o600); err != nil {
		return fmt.Errorf("unpack the quickstart: %w", err)
	}
	return nil
}

// play posts the webhook and follows what comes of it to the end.
func (d *demo) play(ctx context.Context, p *Process, secret []byte) (queue.State, error) {
	event, err := d.post(ctx, p, secret)
	if err != nil {
		return "", err
	}
	rec, err := d.await(ctx, p, event)
	if err != nil {
		return "", err
	}
	d.say("rule %s fired: job %s runs %s on %s", rec.Rule, rec.ID[:12], rec.Playbook, strings.Join(rec.Limit, ", "))
	var last queue.Record
	for u, err := range p.Queue.Watch(ctx, rec.ID, 0) {
		switch {
		case err != nil:
			return "", err
		case u.Result != nil:
			d.printer.Task(*u.Result)
		case u.Record.State == queue.Running:
			d.say("runner %s claimed it, attempt %d", u.Record.Runner, u.Record.Attempt)
		}
		if u.Record != nil {
			last = *u.Record
		}
	}
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	d.printer.Recap()
	d.say("\njob %s %s: %d task results on the bus", last.ID[:12], last.State, last.Results)
	if last.Reason != "" {
		d.say("  %s", last.Reason)
	}
	return last.State, d.printer.Err()
}

// post sends the release webhook as the git host would and returns the event's id.
func (d *demo) post(ctx context.Context, p *Process, secret []byte) (event string, err error) {
	body, err := os.ReadFile(filepath.Join(d.dir, "content", "release.json"))
	if err != nil {
		return "", fmt.Errorf("read the webhook: %w", err)
	}
	url := p.Addr.HTTP + "/hooks/github"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return "", fmt.Errorf("post the webhook: %w", err)
	}
	req.Header = webhook.Sign(webhook.GitHub, secret, body)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "GitHub-Hookshot/jet-bus-demo")
	req.Header.Set("X-GitHub-Event", "release")
	req.Header.Set("X-GitHub-Delivery", uuid.NewString())
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", fmt.Errorf("post the webhook: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	if err != nil {
		return "", fmt.Errorf("post the webhook: %w", err)
	}
	if resp.StatusCode != http.StatusAccepted {
		return "", fmt.Errorf("post the webhook to %s: %s: %s", url, resp.Status, answer)
	}
	var stored struct{ ID string }
	if err := json.Unmarshal(answer, &stored); err != nil {
		return "", fmt.Errorf("read the answer to the webhook: %w", err)
	}
	d.say("signed release webhook posted to %s: %s, stored as event %s", url, resp.Status, stored.ID)
	return stored.ID, nil
}

// await waits for the job that the event causes.
func (d *demo) await(ctx context.Context, p *Process, event string) (queue.Record, error) {
	for r, err := range p.Queue.Follow(ctx, 0) {
		if err != nil {
			return queue.Record{}, err
		}
		if r.Event != nil && r.Event.ID == event {
			return r, nil
		}
	}
	return queue.Record{}, fmt.Errorf("wait for the rule to fire: %w", context.Cause(ctx))
}

func (d *demo) next(p *Process, keep bool) {
	if !keep {
		d.say(`
What to try next:
  go run ./cmd/jet-bus demo --keep                          leave it running and look at the status page
  go run ./cmd/jet-bus --dev --content examples/quickstart  your own, with a runner beside it
  go run ./cmd/jet run examples/quickstart/playbooks/upgrade.yml -i examples/quickstart/inventory -e '{"version": "v2.1.0"}'
                                                            the playbook alone, with no bus`)
		return
	}
	d.say(`
Still running; stop it with Ctrl-C. Look at %s, or from another terminal:
  export JET_DATA=%s
  go run ./cmd/jet jobs
  go run ./cmd/jet events
  go run ./cmd/jet publish --type %s --source /me --data '{}'`, p.Addr.HTTP, p.o.Data, "com.example.hello")
}
