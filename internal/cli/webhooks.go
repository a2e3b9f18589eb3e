package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/jet-bus/jet-bus/internal/access"
	"github.com/jet-bus/jet-bus/internal/intake"
	"github.com/jet-bus/jet-bus/internal/proc"
	"github.com/jet-bus/jet-bus/internal/source/webhook"
)

// webhooks is what the commands below jet webhooks share: they work on the files of a
// jet-bus on this machine.
type webhooks struct {
	*app
	file, base string
}

func (a *app) webhooksCommand() *cobra.Command {
	w := &webhooks{app: a}
	cmd := &cobra.Command{
		Use:   "webhooks",
		Short: "Set up the addresses that git hosts and others send events to",
		Long: `webhooks changes the webhooks file of a jet-bus on this machine, hooks.yml in its
data directory, and the secrets beside it. jet-bus takes over what is new within
seconds. What people wrote into the file stays as it is. Run it as the user of
jet-bus, or as root.`,
	}
	cmd.PersistentFlags().StringVar(&w.file, "hooks", "", "webhooks `file`, as jet-bus is given it (default: hooks.yml in the data directory)")
	cmd.PersistentFlags().StringVar(&w.base, "url", "", "`address` at which senders reach jet-bus, such as https://bus.example.com (default: where it listens)")
	cmd.AddCommand(w.listCommand(), w.addCommand(), w.rotateCommand(), w.removeCommand(), w.testCommand())
	return cmd
}

func (w *webhooks) data() string { return cmp.Or(w.access.Bus, access.DataDir(w.env)) }

func (w *webhooks) path() string { return cmp.Or(w.file, filepath.Join(w.data(), "hooks.yml")) }

// address is where senders reach a webhook.
func (w *webhooks) address(name string) (string, error) {
	base := w.base
	if base == "" {
		base = "http://127.0.0.1:4280"
		if a, err := access.ReadAddress(w.data()); err == nil && a.HTTP != "" {
			base = a.HTTP
		}
	}
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return "", proc.Usagef("--url must be like https://bus.example.com, not %q", base)
	}
	return u.JoinPath("hooks", name).String(), nil
}

// text reads the webhooks file as people write it; there need not be one.
func (w *webhooks) text() (*webhook.Text, []webhook.Named, error) {
	data, err := os.ReadFile(w.path())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("read webhooks: %w", err)
	}
	text := webhook.NewText(w.path(), data)
	all, err := text.Hooks()
	return text, all, err
}

func (w *webhooks) listCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the webhooks, and what came in last",
		Long: `list prints the webhooks of the file, where senders reach them, and, if the bus
can be reached, which event came in last.

Exit codes: 0 all went well, 1 something failed, 2 wrong usage.`,
		Example: "  jet webhooks list\n  jet webhooks list --json | jq .url",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return w.list(cmd.Context())
		},
	}
}

// hookState is what the bus knows of how a webhook fares.
type hookState struct {
	State   intake.Condition `json:"state,omitempty"`
	Event   *intake.Event    `json:"event,omitempty"`
	Error   string           `json:"error,omitempty"`
	ErrorAt time.Time        `json:"error_at,omitzero"`
}

func (w *webhooks) list(ctx context.Context) error {
	_, all, err := w.text()
	if err != nil {
		return err
	}
	states := w.states(ctx, all)
	rows := [][]string{{"NAME", "KIND", "URL", "LAST EVENT", "AT"}}
	for _, h := range all {
		at, err := w.address(h.Name)
		if err != nil {
			return err
		}
		s := states[h.Name]
		if w.json {
			line := struct {
				Name string `json:"name"`
				Kind string `json:"kind"`
				URL  string `json:"url"`
				hookState
			}{h.Name, h.Kind, at, s}
			if err := w.line(line); err != nil {
				return err
			}
			continue
		}
		last, when := "-", "-"
		if s.Event != nil {
			last, when = s.Event.Type+" "+s.Event.ID, stamp(s.Event.At)
		}
		rows = append(rows, []string{h.Name, h.Kind, at, last, when})
	}
	if w.json {
		return nil
	}
	if len(all) == 0 {
		w.printf("no webhooks in %s; jet webhooks add makes one\n", proc.Printable(w.path()))
		return nil
	}
	return table(w.env.Stdout, rows)
}

// stateWait is how long is waited for what the bus knows.
const stateWait = 5 * time.Second

// states reads how webhooks fare; without a bus it is not known.
func (w *webhooks) states(ctx context.Context, all []webhook.Named) map[string]hookState {
	states := make(map[string]hookState)
	if len(all) == 0 {
		return states
	}
	ctx, cancel := context.WithTimeout(ctx, stateWait)
	defer cancel()
	b, done, err := w.connect(ctx)
	if err != nil {
		return states
	}
	defer done()
	for _, h := range all {
		if s, err := intake.Get(ctx, b, intake.HookName(h.Name)); err == nil {
			states[h.Name] = hookState{s.State, s.Event, s.Error, s.ErrorAt}
		}
	}
	return states
}

// kindNames are the kinds that a webhook can be of.
func kindNames() []string {
	var names []string
	for _, k := range webhook.Kinds() {
		names = append(names, string(k.Kind))
	}
	return names
}

func kindOf(name string) (webhook.KindInfo, error) {
	all := webhook.Kinds()
	if i := slices.IndexFunc(all, func(k webhook.KindInfo) bool { return string(k.Kind) == name }); i >= 0 {
		return all[i], nil
	}
	return webhook.KindInfo{}, proc.Usagef("kind %q is none of %s", name, strings.Join(kindNames(), ", "))
}
