package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/jet-bus/jet-bus/internal/access"
	"github.com/jet-bus/jet-bus/internal/backup"
	"github.com/jet-bus/jet-bus/internal/proc"
	"github.com/jet-bus/jet-bus/internal/source/webhook"
)

func (a *app) backupCommand() *cobra.Command {
	var noKeys, check bool
	cmd := &cobra.Command{
		Use:   "backup DIR",
		Short: "Copy all that is on the bus, while it runs",
		Long: `backup copies every stream of the bus to a new directory while events go on
coming in and jobs go on running, and checks the copy before it says that it is
done. When the data directory of the bus is on this machine and may be read, its
keys, hooks.yml and its secrets there are copied too: keep such a backup as you keep the keys.
'jet-bus restore' makes a data directory of it.

It needs the role admin. Exit codes: 0 the backup is complete, 1 it is not and
nothing is left of it, 2 wrong usage.`,
		Example: "  jet backup /backup/monday\n  jet backup --check /backup/monday",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := a.env.Context(cmd.Context())
			defer cancel()
			if check {
				return a.checkBackup(ctx, args[0])
			}
			return a.backup(ctx, args[0], noKeys)
		},
	}
	cmd.Flags().BoolVar(&noKeys, "no-keys", false, "leave out the keys, hooks.yml and its secrets")
	cmd.Flags().BoolVar(&check, "check", false, "make none: check that the backup in DIR is whole")
	return cmd
}

func (a *app) backup(ctx context.Context, dir string, noKeys bool) error {
	o := backup.Options{Version: proc.Version()}
	// What is said of the keys is decided before the copying, which takes long.
	var keys string
	o.Data, keys = a.keysFor(noKeys)
	if o.Data != "" {
		var hooks string
		o.Secrets, hooks = hookSecrets(o.Data)
		keys += hooks
	}
	b, done, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer done()
	if !a.json {
		o.Progress = func(s backup.Stream) {
			a.printf("%-12s %d messages up to sequence %d, %s\n", s.Stream, s.Messages, s.LastSeq, size(s.Bytes))
		}
	}
	m, err := backup.Take(ctx, b, dir, o)
	if err != nil {
		return err
	}
	if a.json {
		return a.line(m)
	}
	a.printf("%s\nbackup is complete and checked: %s, %s\n", proc.Printable(keys), proc.Printable(dir), size(m.Bytes()))
	return nil
}

func (a *app) checkBackup(ctx context.Context, dir string) error {
	c, err := backup.Open(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if a.json {
		return a.line(c.Manifest)
	}
	keys := "with keys"
	if !c.HasKeys() {
		keys = "without keys"
	}
	a.printf("backup is whole: %s, made %s, %s, %s\n", proc.Printable(dir), stamp(c.Time), size(c.Bytes()), keys)
	return nil
}

// keysFor finds the data directory whose keys belong to the bus, and says in a
// sentence what becomes of them.
func (a *app) keysFor(noKeys bool) (data, said string) {
	const without = "; without them a restored bus makes new ones, and every runner and operator needs new credentials"
	if noKeys {
		return "", "keys are not in it, as asked" + without
	}
	data = cmp.Or(a.access.Bus, access.DataDir(a.env))
	keys := filepath.Join(data, "keys")
	o, err := a.access.Options(a.env, "admin")
	if err == nil {
		err = backup.SameBus(keys, o.CredsFile)
	}
	switch {
	case err == nil:
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Sprintf("keys are not in it: there are none in %s (name the data directory with --bus)%s", keys, without)
	default:
		return "", fmt.Sprintf("keys are not in it: %s%s", err, without)
	}
	return data, fmt.Sprintf("keys of %s are in it: who can read this backup can do anything on the bus", keys)
}

// hookSecrets finds the files of a data directory that the webhooks there need, and says
// what becomes of them and of others.
func hookSecrets(data string) (names []string, said string) {
	hooks := filepath.Join(data, "hooks.yml")
	if _, err := os.Stat(hooks); err != nil {
		return nil, ""
	}
	file, err := webhook.Load(hooks)
	if err != nil {
		return nil, "; hooks.yml too, but not the secret files that it names, since it has faults"
	}
	var away []string
	for _, name := range file.Files {
		if dir, base := filepath.Split(name); filepath.Clean(dir) == filepath.Clean(data) {
			names = append(names, base)
		} else {
			away = append(away, name)
		}
	}
	slices.Sort(names)
	slices.Sort(away)
	said = "; hooks.yml and the secrets beside it too"
	if len(away) > 0 {
		said += ", but not " + strings.Join(slices.Compact(away), ", ")
	}
	return slices.Compact(names), said
}

// size prints a number of bytes for people.
func size(n int64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%d GiB", n>>30)
	case n >= 10<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 10<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	default:
		return fmt.Sprintf("%d bytes", n)
	}
}
