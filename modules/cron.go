package modules

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
)

const (
	// cronDir holds the files that the cron module makes.
	cronDir = "/etc/cron.d/"
	// maxCronText is the length of the longest command and of the longest variable,
	// in bytes, that every cron takes: with a longer one it refuses the whole file.
	maxCronText = 990
	// maxCronName bounds the name of an entry.
	maxCronName = 200
)

// cron is the cron module. It ensures that cron runs a command at certain times, or
// that it does not: by a file of its own in /etc/cron.d, or with user_crontab by an
// entry in the crontab of a user. Cron itself must be installed.
//
// The result has, after a change, path, which is the file, or empty with user_crontab.
type cron struct {
	// Entry is the entry's name. It names the file in /etc/cron.d, so it consists of
	// letters, digits, - and _: cron passes over files with other names. With
	// user_crontab it is any line of text, and stands in a comment above the entry.
	Entry string `yaml:"entry,required"`
	// User is the account that the command runs as. It is required, except with
	// remove, where it is not wanted, and with user_crontab, where it says whose
	// crontab it is: the one of the user the task runs as when it is not given.
	User accountName `yaml:"user"`
	// Command is the command line, as the shell shall see it: a % is escaped for
	// cron, so no backslash may stand before one. It is at most 990 bytes long.
	Command string `yaml:"command"`
	// Minute is when the command runs: 0 to 59, ranges (0-29), steps (*/10) and
	// lists of these (0,15,30-40). It is * when it is not given: every minute.
	Minute string `yaml:"minute"`
	// Hour is 0 to 23, written like minute.
	Hour string `yaml:"hour"`
	// Day is the day of the month, 1 to 31, written like minute. When both day and
	// weekday are given, the command runs when either fits.
	Day string `yaml:"day"`
	// Month is 1 to 12 or jan to dec, written like minute.
	Month string `yaml:"month"`
	// Weekday is 0 to 7, where 0 and 7 are Sunday, or sun to sat, written like
	// minute.
	Weekday string `yaml:"weekday"`
	// Special stands for the five fields, which it excludes: reboot (when cron
	// starts), yearly, annually, monthly, weekly, daily, midnight or hourly.
	Special string `yaml:"special"`
	// Environment are variables for the command, such as PATH or MAILTO, by name.
	// It excludes user_crontab, where they would hold for the entries below as well.
	Environment map[string]string `yaml:"environment"`
	// UserCrontab puts the entry in the crontab of the user, and not in /etc/cron.d.
	UserCrontab bool `yaml:"user_crontab"`
	// Remove ensures that there is no such entry. Of the other parameters only entry,
	// user and user_crontab go with it.
	Remove bool `yaml:"remove"`

	// of the user's crontab: what it holds, and what it shall hold.
	before, after string
}

// Validate checks what cannot be written for cron, and what does not go together.
func (m *cron) Validate() error {
	if err := m.checkName(); err != nil {
		return err
	}
	timed := m.Minute + m.Hour + m.Day + m.Month + m.Weekday
	switch {
	case m.Remove && (m.Command != "" || m.Special != "" || timed != "" || m.Environment != nil):
		return errors.New("remove goes with no other parameter than entry, user and user_crontab")
	case m.Remove && m.User != "" && !m.UserCrontab:
		return errors.New("remove goes with user in a user's crontab only: a file in /etc/cron.d is found by its entry")
	case m.Remove:
		return nil
	case m.User == "" && !m.UserCrontab:
		return errors.New("user is missing: it says whom the command runs as")
	case m.UserCrontab && m.Environment != nil:
		return errors.New("environment and user_crontab exclude each other: the variables would hold for other entries too")
	case m.Special != "" && timed != "":
		return errors.New("special excludes minute, hour, day, month and weekday")
	}
	if err := m.checkSchedule(); err != nil {
		return err
	}
	if err := m.checkCommand(); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(m.Environment)) {
		if _, err := cronVariable(name, m.Environment[name]); err != nil {
			return err
		}
	}
	return nil
}

func (m *cron) checkName() error {
	switch {
	case m.Entry == "" || len(m.Entry) > maxCronName:
		return fmt.Errorf("entry must have 1 to %d bytes", maxCronName)
	case m.UserCrontab && (!isPlain(m.Entry) || strings.TrimSpace(m.Entry) != m.Entry):
		return fmt.Errorf("entry %q must be one line of text without blanks around it", m.Entry)
	case !m.UserCrontab && (m.Entry[0] == '-' ||
		strings.Trim(m.Entry, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != ""):
		return fmt.Errorf("entry %q cannot name a file in /etc/cron.d: cron takes letters, digits, - and _ only", m.Entry)
	}
	return nil
}

func (m *cron) checkCommand() error {
	switch {
	case strings.TrimSpace(m.Command) == "":
		return errors.New("command is missing")
	case !isPlain(m.Command):
		return errors.New("command must be one line of text: put what has more into a script and run that")
	case strings.Contains(m.Command, `\%`):
		return errors.New(`command has a backslash before a %: write the % alone, it is escaped for cron`)
	case len(cronCommand(m.Command)) > maxCronText:
		return fmt.Errorf("command is longer than %d bytes: put it into a script and run that", maxCronText)
	}
	return nil
}

// Preview reads ahead what Query reads.
func (m *cron) Preview(ctx context.Context, h *engine.Host) { _, _ = m.Query(ctx, h) }

func (m *cron) Query(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	if m.UserCrontab {
		return m.queryCrontab(ctx, h)
	}
	if !m.Remove {
		return textContent(m.file()).query(ctx, h, m.path(), cronAttributes())
	}
	f, err := readEtc(ctx, h.Conn, string(m.path()))
	if err != nil || !f.exists {
		return engine.Plan{Need: engine.Matched}, err
	}
	return engine.Plan{Need: engine.Remove, Diffs: f.diff(h, "")}, nil
}

func (m *cron) Apply(ctx context.Context, h *engine.Host, p engine.Plan) (engine.Result, error) {
	if m.UserCrontab {
		return engine.Result{Data: map[string]any{"path": ""}}, m.writeCrontab(ctx, h.Conn)
	}
	res := engine.Result{Data: map[string]any{"path": string(m.path())}}
	if p.Need == engine.Remove {
		return res, h.Conn.Remove(ctx, string(m.path()))
	}
	// Cron passes over a whole file in silence when it does not know the user.
	_, ok, err := findUser(ctx, h.Conn, string(m.User))
	if err == nil && !ok {
		err = fmt.Errorf("writing %s: the host has no user %s to run the command as", m.path(), m.User)
	}
	if err != nil {
		return res, err
	}
	return res, textContent(m.file()).apply(ctx, h, m.path(), cronAttributes(), p)
}

func (m *cron) path() filePath { return filePath(cronDir + m.Entry) }

// cronAttributes are those that cron asks of a file: it passes over one that
// somebody else than root may write.
func cronAttributes() attributes {
	return attributes{Owner: "root", Group: "root", Mode: engine.Mode{Given: true, Perm: 0o644}}
}

// file is what the file in /etc/cron.d shall hold.
func (m *cron) file() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(m.Environment)) {
		line, _ := cronVariable(name, m.Environment[name]) // Validate has seen the error
		b.WriteString(line + "\n")
	}
	fmt.Fprintf(&b, "%s %s %s\n", m.schedule(), m.User, cronCommand(m.Command))
	return b.String()
}

// queryCrontab says what is to be done to the user's crontab.
func (m *cron) queryCrontab(ctx context.Context, h *engine.Host) (engine.Plan, error) {
	var err error
	if m.before, err = readCrontab(ctx, h.Conn, m.User); err != nil {
		return engine.Plan{}, err
	}
	entry := ""
	if !m.Remove {
		entry = m.schedule() + " " + cronCommand(m.Command)
	}
	var found bool
	m.after, found = editCrontab(m.before, m.Entry, entry)
	plan := engine.Plan{Need: engine.Modify, Fields: []string{fieldContent}}
	switch {
	case m.after == m.before:
		return engine.Plan{Need: engine.Matched}, nil
	case !found:
		plan = engine.Plan{Need: engine.Create}
	case m.Remove:
		plan = engine.Plan{Need: engine.Remove}
	}
	f := etcFile{path: "crontab of " + string(m.User), text: m.before}
	if m.User == "" {
		f.path = "crontab of " + h.Conn.User()
	}
	plan.Diffs = f.diff(h, m.after)
	return plan, nil
}

func (m *cron) writeCrontab(ctx context.Context, c conn.Conn) error {
	if m.after == "" {
		return act(ctx, c, nil, crontabOf(m.User, "-r")...)
	}
	argv := crontabOf(m.User, "-")
	out, err := c.Run(ctx, conn.Cmd{Argv: argv, Stdin: strings.NewReader(m.after)})
	if err != nil {
		return fmt.Errorf("running %s: %w", argv[0], err)
	}
	if out.Code != 0 {
		return toolError(argv, out)
	}
	return nil
}
