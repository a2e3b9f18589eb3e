package modules

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/conn"
)

func TestCronSchedule(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		m  cron
		ok bool
	}{
		"nothing":               {cron{}, true},
		"values":                {cron{Minute: "59", Hour: "23", Day: "31", Month: "12", Weekday: "7"}, true},
		"lists and ranges":      {cron{Minute: "0,15-30/5,*/20", Month: "jan,Mar-dec", Weekday: "mon-fri"}, true},
		"minute too large":      {cron{Minute: "60"}, false},
		"no day 0":              {cron{Day: "0"}, false},
		"backwards":             {cron{Hour: "5-3"}, false},
		"a step of nothing":     {cron{Hour: "5/2"}, false},
		"a step of 0":           {cron{Hour: "*/0"}, false},
		"an empty member":       {cron{Hour: "1,"}, false},
		"a name in a wrong one": {cron{Hour: "mon"}, false},
		"blanks":                {cron{Hour: "1 2"}, false},
		"negative":              {cron{Hour: "-1"}, false},
		"very long":             {cron{Hour: strings.Repeat("1,", 1<<19) + "1"}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.m.Entry, tt.m.User, tt.m.Command = "x", "root", "true"
			err := tt.m.Validate()
			if (err == nil) != tt.ok {
				t.Errorf("%q: %v", tt.m.schedule(), err)
			}
			if err != nil && len(err.Error()) > 500 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
		})
	}
}

func TestCronVariable(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"":                        `A=""`,
		" x ":                     `A=" x "`,
		"it's":                    `A="it's"`,
		`say "x"`:                 `A='say "x"'`,
		`both ' and "`:            `A=both ' and "`,
		`"both'`:                  "",
		` ' "`:                    "",
		"x\ny":                    "",
		strings.Repeat("x", 1000): "",
	} {
		line, err := cronVariable("A", value)
		if line != want || (err == nil) != (want != "") {
			t.Errorf("%q becomes %q, %v; want %q", value, line, err, want)
		}
	}
}

// TestCrontabConverges edits random crontabs: other lines stay, and doing it twice
// is doing it once.
func TestCrontabConverges(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		pool := []string{"# jet: a", "# jet: b", "@daily x", "0 * * * * y", "# note", "M=1", ""}
		lines := rapid.SliceOf(rapid.SampledFrom(pool)).Draw(t, "lines")
		before := strings.Join(lines, "\n")
		entry := rapid.SampledFrom([]string{"", "@weekly z"}).Draw(t, "entry")
		once, _ := editCrontab(before, "a", entry)
		if twice, found := editCrontab(once, "a", entry); twice != once || found != (entry != "") {
			t.Fatalf("%q becomes %q and then %q", before, once, twice)
		}
		if n := strings.Count(once, "# jet: a\n"); entry != "" && n != 1 || entry == "" && n != 0 {
			t.Fatalf("%q becomes %q", before, once)
		}
		for _, keep := range []string{"# jet: b", "# note", "M=1"} {
			if strings.Count(once, keep) != strings.Count(before, keep) {
				t.Fatalf("%q becomes %q: lines with %q are lost", before, once, keep)
			}
		}
	})
}

func TestCrontabOfBusyBox(t *testing.T) {
	t.Parallel()
	h := &etcHost{answers: map[string]conn.Output{
		"crontab -u ann -l": {Code: 1, Stderr: []byte("crontab: can't open 'ann': No such file or directory\n")},
	}}
	m := cron{Entry: "a", User: "ann", UserCrontab: true, Special: "daily", Command: "date +%F"}
	p, _, err := enact(t, &m, &engine.Host{Conn: h, Diff: true})
	if err != nil || p.Need != engine.Create || len(p.Diffs) != 1 || p.Diffs[0].Path != "crontab of ann" {
		t.Errorf("%v, %v", p, err)
	}
	if got, want := strings.Join(h.ran, "|"), "crontab -u ann - < # jet: a\n@daily date +\\%F\n"; got != want {
		t.Errorf("ran %q, want %q", got, want)
	}
}

func TestCronEntry(t *testing.T) {
	t.Parallel()
	for entry, want := range map[string][2]bool{ // in /etc/cron.d, in a user's crontab
		"a_1-B": {true, true}, "-nightly": {false, true}, "at night": {false, true}, " a": {}, "a\nb": {}, "": {},
	} {
		for i, users := range []bool{false, true} {
			m := cron{Entry: entry, User: "ann", UserCrontab: users, Special: "daily", Command: "true"}
			if err := m.Validate(); (err == nil) != want[i] {
				t.Errorf("%q, user_crontab %t: %v", entry, users, err)
			}
		}
	}
}

func TestCrontabThatIsRefused(t *testing.T) {
	t.Parallel()
	h := &etcHost{answers: map[string]conn.Output{
		"crontab -u ann -l": {Code: 1, Stderr: []byte("must be privileged to use -u\n")},
	}}
	m := cron{Entry: "a", User: "ann", UserCrontab: true, Remove: true}
	if _, _, err := enact(t, &m, &engine.Host{Conn: h}); err == nil || !strings.Contains(err.Error(), "must be privileged") {
		t.Errorf("error is %v", err)
	}
}
