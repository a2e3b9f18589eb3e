package modules

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jet-bus/jet-bus/engine/conn"
	"github.com/jet-bus/jet-bus/internal/lazyregexp"
)

// cronMark begins the comment above an entry of a crontab that is ours.
const cronMark = "# jet: "

// cronSpecials are the words that stand for a whole schedule.
var cronSpecials = []string{"reboot", "yearly", "annually", "monthly", "weekly", "daily", "midnight", "hourly"}

// cronField is one of the five fields of a schedule.
type cronField struct {
	name     string
	low      int
	high     int
	names    []string // of the values, from low on
	schedule string
}

func (m *cron) fields() []cronField {
	return []cronField{
		{name: "minute", high: 59, schedule: m.Minute},
		{name: "hour", high: 23, schedule: m.Hour},
		{name: "day", low: 1, high: 31, schedule: m.Day},
		{name: "month", low: 1, high: 12, schedule: m.Month, names: []string{
			"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
		}},
		{name: "weekday", high: 7, schedule: m.Weekday, names: []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}},
	}
}

// schedule is when the command runs, as it stands in the entry.
func (m *cron) schedule() string {
	if m.Special != "" {
		return "@" + m.Special
	}
	var fields []string
	for _, f := range m.fields() {
		if f.schedule == "" {
			f.schedule = "*"
		}
		fields = append(fields, f.schedule)
	}
	return strings.Join(fields, " ")
}

func (m *cron) checkSchedule() error {
	if m.Special != "" && !slices.Contains(cronSpecials, m.Special) {
		return fmt.Errorf("special must be one of %s", strings.Join(cronSpecials, ", "))
	}
	for _, f := range m.fields() {
		if f.schedule == "" {
			continue
		}
		if len(f.schedule) > maxCronName {
			return fmt.Errorf("%s is longer than %d bytes", f.name, maxCronName)
		}
		for part := range strings.SplitSeq(f.schedule, ",") {
			if !f.takes(part) {
				return fmt.Errorf("%s %q is no time for cron: write *, a value from %d to %d, a range such as %[3]d-%[4]d, "+
					"a step such as */2, or a list of them with commas", f.name, f.schedule, f.low, f.high)
			}
		}
	}
	return nil
}

// takes tells whether a member of a list is a value, or a range with or without a
// step.
func (f cronField) takes(part string) bool {
	span, step, stepped := strings.Cut(part, "/")
	if stepped {
		if n, ok := digits(step); !ok || n < 1 || n > f.high {
			return false
		}
	}
	if span == "*" {
		return true
	}
	from, to, ranged := strings.Cut(span, "-")
	a, ok := f.value(from)
	if !ok || !ranged {
		return ok && !stepped
	}
	b, ok := f.value(to)
	return ok && a <= b
}

// value reads a number, or a name where the field has some.
func (f cronField) value(s string) (int, bool) {
	if i := slices.Index(f.names, strings.ToLower(s)); i >= 0 {
		return f.low + i, true
	}
	n, ok := digits(s)
	return n, ok && n >= f.low && n <= f.high
}

// digits reads a number of one or two digits.
func digits(s string) (int, bool) {
	if len(s) < 1 || len(s) > 2 || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	return n, err == nil
}

// cronCommand is a command line as cron wants it: for cron a % is the end of a line.
func cronCommand(s string) string { return strings.ReplaceAll(strings.TrimSpace(s), "%", `\%`) }

var environmentName = lazyregexp.New(`^[A-Za-z_][A-Za-z0-9_]*$`)

// cronVariable is the line that sets a variable. Cron takes quotes around a value,
// and no way to write a quote of the same kind within.
func cronVariable(name, value string) (string, error) {
	switch {
	case !environmentName().MatchString(name):
		return "", fmt.Errorf("environment: %q cannot name a variable: use letters, digits and _", name)
	case !isPlain(value):
		return "", fmt.Errorf("environment: the value of %s must be one line of text", name)
	case len(name)+len(value) > maxCronText:
		return "", fmt.Errorf("environment: %s is longer than %d bytes", name, maxCronText)
	case !strings.Contains(value, `"`):
		return name + `="` + value + `"`, nil
	case !strings.Contains(value, `'`):
		return name + "='" + value + "'", nil
	case strings.TrimSpace(value) == value && !strings.ContainsAny(value[:1], `"'`):
		return name + "=" + value, nil
	}
	return "", fmt.Errorf("environment: cron cannot hold the value of %s, which has both kinds of quotes and begins with one or a blank", name)
}

// crontabOf is the command for a user's crontab, or that of the task's user.
func crontabOf(user accountName, what string) []string {
	if user == "" {
		return []string{"crontab", what}
	}
	return []string{"crontab", "-u", string(user), what}
}

// readCrontab returns a user's crontab, which is empty when there is none.
func readCrontab(ctx context.Context, c conn.Conn, user accountName) (string, error) {
	argv := crontabOf(user, "-l")
	out, err := ask(ctx, c, argv...)
	if err != nil {
		return "", err
	}
	if out.Code != 0 {
		// BusyBox says it in the second way.
		said := text(out.Stderr)
		if strings.Contains(said, "no crontab for") || strings.Contains(said, "No such file or directory") {
			return "", nil
		}
		return "", toolError(argv, out)
	}
	return string(out.Stdout), nil
}

// editCrontab returns a crontab with an entry under its mark, or without both when
// the entry is empty. found tells whether it had the mark.
func editCrontab(before, name, entry string) (after string, found bool) {
	var out []string
	lines := slices.Collect(strings.Lines(before))
	for i := 0; i < len(lines); i++ {
		if l, _ := cutEnd(lines[i]); l != cronMark+name {
			out = append(out, lines[i])
			continue
		}
		if i+1 < len(lines) && strings.ContainsAny(lines[i+1][:1], "*@0123456789") {
			i++ // the entry itself, unless somebody took it out
		}
		if !found && entry != "" {
			out = append(out, cronMark+name+"\n", entry+"\n")
		}
		found = true
	}
	if !found && entry != "" {
		if n := len(out); n > 0 && !strings.HasSuffix(out[n-1], "\n") {
			out[n-1] += "\n"
		}
		out = append(out, cronMark+name+"\n", entry+"\n")
	}
	return strings.Join(out, ""), found
}
