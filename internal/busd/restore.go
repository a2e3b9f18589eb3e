package busd

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/jet-bus/jet-bus/internal/access"
	"github.com/jet-bus/jet-bus/internal/backup"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/proc"
)

// Restore makes a data directory of a backup. It has the server itself take the
// streams in, one that nobody else can reach: the form of a backup is the
// server's, and so is that of its store. data must be new or empty; until all is
// there it is named data.partial, and after an error nothing is left.
func Restore(ctx context.Context, from, data string, log *slog.Logger) (m backup.Manifest, err error) {
	data = filepath.Clean(data)
	if err := backup.Vacant(data); err != nil {
		return m, err
	}
	c, err := backup.Open(ctx, from)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	partial := data + ".partial"
	if err := os.MkdirAll(filepath.Dir(data), 0o700); err != nil {
		return m, fmt.Errorf("make the data directory: %w", err)
	}
	if err := os.Mkdir(partial, 0o700); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return m, fmt.Errorf("%s is there already: another restore is under way, or was killed; remove it in that case", partial)
		}
		return m, fmt.Errorf("make the data directory: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(partial))
		}
	}()
	if err := c.PutFiles(partial); err != nil {
		return m, err
	}
	if err := loadStore(ctx, c, partial, log); err != nil {
		return m, err
	}
	if err := restoreWater(c.Manifest, partial); err != nil {
		return m, err
	}
	if err := backup.Flush(partial); err != nil {
		return m, err
	}
	if err := os.Rename(partial, data); err != nil {
		return m, fmt.Errorf("finish the restore: %w", err)
	}
	return c.Manifest, backup.Flush(data)
}

// loadStore starts a server in a directory, fills it, and stops it.
func loadStore(ctx context.Context, c *backup.Copy, dir string, log *slog.Logger) (err error) {
	server, err := busserver.Start(ctx, busserver.Options{
		Dir: dir, Listen: "127.0.0.1:0", Sync: busserver.Process, Logger: log,
	})
	if err != nil {
		return err
	}
	defer server.Shutdown()
	creds, err := server.Keys().Issue(busserver.RoleBus, "restore", 0)
	if err != nil {
		return err
	}
	b, err := bus.Connect(ctx, bus.Options{Creds: creds, Name: "restore", InProcess: server.InProcess(), Logger: log})
	if err != nil {
		return err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		err = errors.Join(err, b.Close(closing))
	}()
	return c.Load(ctx, b, 1)
}

// restoreWater writes down how far the restored streams go, and which of their gaps
// are known: the next start then notices what is lost after this, and nothing else.
func restoreWater(m backup.Manifest, dir string) error {
	blocks, err := busserver.Inspect(dir, nil)
	if err != nil {
		return err
	}
	h := &highWater{dir: dir, record: waterRecord{Clean: true, Streams: make(map[string]*waterLevel)}}
	for _, b := range blocks {
		h.level(b.Stream).rise(b.Last, time.Now())
	}
	for _, s := range m.Streams {
		for _, g := range s.Gaps {
			level := h.level(s.Stream)
			level.Gaps = append(level.Gaps, busserver.Range(g))
		}
	}
	return h.write()
}

func restoreCommand(env proc.Env, data *string) *cobra.Command {
	var asJSON, verbose bool
	var f flags
	cmd := &cobra.Command{
		Use:   "restore BACKUP",
		Short: "Make a data directory of a backup, or restore it onto a cluster",
		Long: `restore makes a data directory of what 'jet backup' wrote. It checks all of the
backup first. The directory must be new or empty, and no bus may run on it. A
jet-bus that is started on it goes on where the backup was made: events that were
not judged are judged, jobs that were running are noticed as lost, and nothing is
done twice that the backup knows to be done. What happened after the backup was
made, it cannot know: stop the runners of the old bus before.

With --nats it restores onto a nats-server cluster instead, whose stores must be
empty: no jet-bus may have been started on it. Keys in the backup are not used then.

Exit codes: 0 restored, 1 an error and nothing is left (of --data), 2 wrong usage.`,
		Example: `  jet-bus restore /backup/monday --data /var/lib/jet-bus
  jet-bus restore /backup/monday --nats tls://n1.example.com,tls://n2.example.com --creds bus.creds --ca ca.pem`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.exclusive(cmd.Flags().Changed); err != nil {
				return err
			}
			if f.nats != "" && cmd.Flags().Changed("data") {
				return proc.Usagef("--data and --nats exclude each other: a backup becomes a data directory, or goes onto a cluster")
			}
			ctx, cancel := env.Context(cmd.Context())
			defer cancel()
			log := slog.New(slog.DiscardHandler)
			if verbose {
				log = env.Logger(slog.LevelDebug)
			}
			dir := cmp.Or(*data, access.DataDir(env))
			if f.nats != "" {
				return f.restoreOnto(ctx, env, args[0], dir, asJSON, log)
			}
			m, err := Restore(ctx, args[0], dir, log)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(env.Stdout).Encode(map[string]any{"data": dir, "manifest": m})
			}
			return tellRestored(env, dir, m)
		},
	}
	f.bindExternal(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "log what the server does")
	return cmd
}

// restoreOnto restores onto the cluster that the flags name.
func (f *flags) restoreOnto(ctx context.Context, env proc.Env, from, data string, asJSON bool, log *slog.Logger) error {
	o := Options{Data: data}
	if err := f.external(env, &o); err != nil {
		return err
	}
	m, err := RestoreOnto(ctx, from, *o.External, log)
	if err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(env.Stdout).Encode(map[string]any{"bus": f.nats, "manifest": m})
	}
	_, err = fmt.Fprintf(env.Stdout, `restored onto %s: %d streams, %d messages, as of %s
Next: see that no runner of the old bus works on; start each jet-bus with --nats and its --content; then jet doctor.
`, proc.Printable(f.nats), len(m.Streams), messages(m), m.Time.Format("2006-01-02 15:04:05 MST"))
	return err
}

// messages is how many messages are in a backup.
func messages(m backup.Manifest) (n uint64) {
	for _, s := range m.Streams {
		n += s.Messages
	}
	return n
}

// tellRestored says what is there and what is to be done next.
func tellRestored(env proc.Env, dir string, m backup.Manifest) error {
	keys := "The keys were in the backup: credentials that runners and operators have stay good."
	if !m.HasKeys() {
		keys = fmt.Sprintf("No keys were in the backup, so there are new ones: give runners, publishers and operators the credentials of %s, "+
			"or new ones from 'jet-bus user add'; those they have are refused.", filepath.Join(dir, "creds"))
	}
	_, err := fmt.Fprintf(env.Stdout, `restored %s: %d streams, %d messages, as of %s
%s
Next: see that no runner of the old bus works on; start jet-bus --data %s with its --content; then jet doctor.
`, proc.Printable(dir), len(m.Streams), messages(m), m.Time.Format("2006-01-02 15:04:05 MST"), proc.Printable(keys), proc.Printable(dir))
	return err
}
