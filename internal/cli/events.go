package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/proc"
)

func (a *app) eventsCommand() *cobra.Command {
	var follow bool
	var from uint64
	var since time.Duration
	var typ string
	var all bool
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Show the events on the bus",
		Long: `events prints the stored events in order, each once; with --follow it goes on
as they come, through restarts of the bus, with none missing. The ticks by which
the windows of rules end are left out, unless --all or --type asks for them.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if since < 0 {
				return proc.Usagef("--since is how long ago, such as 2h, not %s", since)
			}
			if from > 0 && since > 0 {
				return proc.Usagef("--from and --since exclude each other")
			}
			b, done, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer done()
			o := bus.TailOptions{From: from, Follow: follow}
			if since > 0 {
				o.Since = time.Now().Add(-since)
			}
			if !a.json {
				a.printf("%8s  %-19s  %-40s  %-36s  %s\n", "SEQ", "RECEIVED", "TYPE", "ID", "SOURCE")
			}
			for m, err := range b.Tail(cmd.Context(), bus.StreamEvents, bus.AllEvents, o) {
				if err != nil {
					return err
				}
				if err := a.event(m, typ, all); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with new events")
	cmd.Flags().Uint64Var(&from, "from", 0, "begin at this sequence")
	cmd.Flags().DurationVar(&since, "since", 0, "begin this long ago, such as 2h")
	cmd.Flags().StringVar(&typ, "type", "", "only events of this `type`; com.example.* for all below it")
	cmd.Flags().BoolVar(&all, "all", false, "the ticks of the clock of rules too")
	cmd.AddCommand(a.eventTypesCommand())
	return cmd
}

// event prints one stored event.
func (a *app) event(m bus.Msg, typ string, all bool) error {
	e, err := bus.DecodeEvent(m.Header, m.Data)
	if err != nil {
		if typ == "" && a.json {
			return a.line(map[string]any{"seq": m.Seq, "received": m.Time, "subject": m.Subject, "error": err.Error()})
		}
		if typ == "" {
			a.printf("%8d  %s  cannot be read: %s\n", m.Seq, stamp(m.Time), proc.Printable(err.Error()))
		}
		return nil
	}
	switch {
	case typ != "":
		if !ofType(e.Type(), typ) {
			return nil
		}
	case !all && m.Subject == bus.EventSubject(bus.ClassOwn, events.TypeClockTicked):
		return nil
	}
	if a.json {
		return a.line(map[string]any{"seq": m.Seq, "received": m.Time, "event": e})
	}
	_, err = fmt.Fprintf(a.env.Stdout, "%8s  %s  %-40s  %-36s  %s\n", strconv.FormatUint(m.Seq, 10), stamp(m.Time),
		proc.Printable(e.Type()), proc.Printable(e.ID()), proc.Printable(e.Source()))
	return err
}

// ofType reports whether typ is want, or below it if want ends in ".*".
func ofType(typ, want string) bool {
	if prefix, ok := strings.CutSuffix(want, "*"); ok && strings.HasSuffix(prefix, ".") {
		return strings.HasPrefix(typ, prefix)
	}
	return typ == want
}

func (a *app) eventTypesCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "types",
		Short: "List the types of the events that jet-bus makes itself",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			rows := [][]string{{"TYPE", "SCHEMA", "MEANING"}}
			for _, t := range events.Types() {
				if a.json {
					if err := a.line(map[string]any{"type": t.Type, "doc": t.Doc, "schema": t.Schema}); err != nil {
						return err
					}
					continue
				}
				schema := "-"
				if t.Schema != nil {
					schema = "yes"
				}
				rows = append(rows, []string{t.Type, schema, t.Doc})
			}
			if a.json {
				return nil
			}
			return table(a.env.Stdout, rows)
		},
	}
}
