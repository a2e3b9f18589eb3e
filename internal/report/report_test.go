package report

import (
	"strings"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/events"
)

func TestPrinter(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	p := NewPrinter(&out, false)
	p.Task(events.TaskFinished{Play: "web", Task: "dir", Module: "directory", Host: "a", Status: "created", Changed: true, DurationMS: 3})
	p.Task(events.TaskFinished{Play: "web", Task: "dir", Module: "directory", Host: "b", Status: "matched"})
	p.Task(events.TaskFinished{Play: "web", Role: "app", Task: "run", Module: "shell", Host: "a", Status: "modified", Check: true, Fields: []string{"Mode"}, Place: "site.yml:3:5"})
	p.Task(events.TaskFinished{
		Play: "web", Role: "app", Task: "run", Module: "shell", Host: "b", Status: "failed", Message: "exit status 2", Attempts: 3,
		Place: "site.yml:3:5", Command: &events.Command{Cmd: "false", RC: 2, Stderr: "no\x1b[2J\nway\n"},
	})
	p.Task(events.TaskFinished{
		Play: "web", Task: "cp", Module: "copy", Host: "a", Status: "failed", Fields: []string{"Content"}, Place: "site.yml:9:5",
		Message: `motd.j2:2:4: "x" is not defined`,
	})
	p.Task(events.TaskFinished{
		Play: "web", Task: "cp", Module: "copy", Host: "b", Status: "ignored", Place: "site.yml:9:5",
		Message: `site.yml:10:8: item 2: "x" is not defined`,
	})
	p.Recap()
	want := `
play: web
  task: dir (directory)
    a                created
    b                matched
  task: app: run (shell)
    a                would modify (Mode)
    b                FAILED after 3 attempts
      | site.yml:3:5: exit status 2
      | $ false
      | no�[2J
      | way
  task: cp (copy)
    a                FAILED
      | site.yml:9:5: motd.j2:2:4: "x" is not defined
    b                failed (ignored)
      | site.yml:10:8: item 2: "x" is not defined

recap
  host    ok  changed  skipped  failed  ignored  unreachable      time
  a        2        1        0       1        0            0       3ms
  b        1        0        0       1        1            0        0s
`
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if p.Err() != nil {
		t.Error(p.Err())
	}
}

func TestTaskCutsLongOutput(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", MaxOutput)
	got := Task(engine.Event{Host: "a", Command: &engine.CommandResult{Cmd: "x", Stdout: long}, Duration: 1500 * time.Microsecond})
	if !got.Command.Truncated || len(got.Command.Stdout) > MaxOutput || !strings.HasPrefix(long, got.Command.Stdout) {
		t.Errorf("stdout of %d bytes, truncated %v", len(got.Command.Stdout), got.Command.Truncated)
	}
	if got.DurationMS != 1.5 {
		t.Errorf("duration %v ms, want 1.5", got.DurationMS)
	}
}
