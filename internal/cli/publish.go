package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/proc"
)

// publishTimeout is how long publish insists: longer than a cluster takes to
// choose a new leader.
const publishTimeout = 15 * time.Second

func (a *app) publishCommand() *cobra.Command {
	var typ, source, subject, id, data, file string
	cmd := &cobra.Command{
		Use:   "publish",
		Short: "Publish an event, and print its id once it is stored",
		Long: `publish stores an event on the bus and prints its id. When it has printed the
id, the event is stored and will be judged by every rule. Publishing an event
again with the same --source and --id makes no second job.

Give the event by its parts, or whole as CloudEvents JSON with --file.`,
		Example: `  jet publish --type com.example.deploy --source /shell --data '{"version": "2.0"}'
  jet publish --file event.json
  producer | jet publish --file -`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var e events.Event
			var err error
			if file != "" {
				if typ+source+subject+id+data != "" {
					return proc.Usagef("--file gives the whole event; leave out the other flags")
				}
				e, err = a.readEvent(file)
			} else {
				e, err = makeEvent(typ, source, subject, id, data)
			}
			if err != nil {
				return err
			}
			if events.OwnType(e.Type()) {
				return proc.Usagef("publish: types dev.jet-bus.* are for jet-bus itself, and %s is one", e.Type())
			}
			b, done, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer done()
			ctx, cancel := context.WithTimeout(cmd.Context(), publishTimeout)
			defer cancel()
			ack, err := b.PublishEvent(ctx, bus.ClassExternal, e)
			if errors.Is(err, bus.ErrUnknownOutcome) || errors.Is(err, context.DeadlineExceeded) {
				return fmt.Errorf("publish: the bus did not say that event %s is stored (its disk may be full); publish it again with --id %s, that makes no second job: %w", e.ID(), e.ID(), err)
			}
			if err != nil {
				return err
			}
			if a.json {
				return a.line(map[string]any{"id": e.ID(), "source": e.Source(), "type": e.Type(), "seq": ack.Seq, "duplicate": ack.Duplicate})
			}
			a.printf("%s\n", e.ID())
			return nil
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&typ, "type", "", "`type` of the event, such as com.example.deploy")
	fs.StringVar(&source, "source", "", "where it comes from, a URI `reference` such as /shell/alice")
	fs.StringVar(&subject, "subject", "", "what it is about")
	fs.StringVar(&id, "id", "", "`id`, unique for the source (default: random)")
	fs.StringVar(&data, "data", "", "data as `JSON`")
	fs.StringVar(&file, "file", "", "`file` with the event as CloudEvents JSON, - for standard input")
	return cmd
}

func makeEvent(typ, source, subject, id, data string) (events.Event, error) {
	if typ == "" || source == "" {
		return events.Event{}, proc.Usagef("give --type and --source, or --file")
	}
	if strings.ContainsFunc(typ, func(r rune) bool { return r <= ' ' || r == '*' || r == '>' }) {
		return events.Event{}, proc.Usagef("--type is words joined by dots, such as com.example.deploy, not %q", typ)
	}
	if _, err := url.Parse(source); err != nil {
		return events.Event{}, proc.Usagef("--source is not a URI reference such as /shell/alice: %q", source)
	}
	var payload any
	if data != "" {
		if !json.Valid([]byte(data)) {
			return events.Event{}, proc.Usagef("--data is not JSON: %q", data)
		}
		payload = json.RawMessage(data)
	}
	e, err := events.New(source, typ, payload)
	if err != nil {
		return e, fmt.Errorf("publish: %w", err)
	}
	if subject != "" {
		e.SetSubject(subject)
	}
	if id != "" {
		e.SetID(id)
	}
	if err := events.Check(e); err != nil {
		return e, fmt.Errorf("publish: %w", err)
	}
	return e, nil
}

func (a *app) readEvent(file string) (events.Event, error) {
	in := a.env.Stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return events.Event{}, fmt.Errorf("read event: %w", err)
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, bus.MaxEventSize+1))
	if err != nil {
		return events.Event{}, fmt.Errorf("read event %s: %w", file, err)
	}
	if len(text) > bus.MaxEventSize {
		return events.Event{}, fmt.Errorf("read event %s: it is larger than the %d KiB an event may have", file, bus.MaxEventSize>>10)
	}
	if len(text) == 0 {
		return events.Event{}, fmt.Errorf("read event %s: %w", file, errors.New("it is empty"))
	}
	e, err := events.Parse(text)
	if err != nil {
		return e, fmt.Errorf("read event %s: %w", file, err)
	}
	return e, nil
}
