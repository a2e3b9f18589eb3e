package report

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

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
	// What the message says is not said again; what it only resembles is.
	p.Task(events.TaskFinished{
		Play: "web", Task: "clone", Module: "git", Host: "a", Status: "ignored", Message: "exit status 128: key added\r\nno access",
		Command: &events.Command{Cmd: "git fetch", RC: 128, Stderr: "key added\r\nno access\n"},
	})
	p.Task(events.TaskFinished{
		Play: "web", Task: "clone", Module: "git", Host: "b", Status: "ignored", Message: "exit status 1: no access",
		Command: &events.Command{Cmd: "git fetch", RC: 1, Stdout: "out\r\n", Stderr: "access\n"},
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
  task: clone (git)
    a                failed (ignored)
      | exit status 128: key added
      | no access
      | $ git fetch
    b                failed (ignored)
      | exit status 1: no access
      | $ git fetch
      | out
      | access

recap
  host    ok  changed  skipped  failed  ignored  rescued  unreachable      time
  a        2        1        0       1        1        0            0       3ms
  b        1        0        0       1        2        0            0        0s

check mode: failed on a, b; changes would be made on 1 of 2 hosts
`
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if p.Err() != nil {
		t.Error(p.Err())
	}
}

func TestPrinterTellsOfDetours(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	p := NewPrinter(&out, true)
	p.Verbose = true
	p.Retry(events.TaskRetrying{Play: "web", Task: "wait", Module: "shell", Host: "a", Delegate: "lb", Attempts: 1, Message: "exit status 1"})
	p.Task(events.TaskFinished{
		Play: "web", Task: "wait", Module: "shell", Host: "a", Delegate: "lb", Status: "executed", Attempts: 2,
		Command: &events.Command{Cmd: "true", Stdout: "yes\n", Truncated: true},
	})
	p.Task(events.TaskFinished{
		Play: "web", Task: "cp", Module: "copy", Host: "a", Status: "modified", Changed: true,
		Diff: "--- /etc/motd\n+++ /etc/motd\n@@ -1 +1 @@\n-old\x1b[2J\n+new\n same\n",
	})
	p.Play()
	p.Task(events.TaskFinished{Play: "web", Task: "cp", Module: "copy", Host: "a", Status: "rescued", Message: "no", Place: "s.yml:1:1"})
	want := "\n\x1b[1mplay: web\x1b[0m\n" +
		"  task: wait (shell)\n" +
		"    a -> lb          \x1b[33mfailed, trying again (attempt 2)\x1b[0m\n" +
		"      | exit status 1\n" +
		"    a -> lb          \x1b[36mexecuted\x1b[0m after 2 attempts\n" +
		"      | $ true\n" +
		"      | yes\n" +
		"      | (there was more output; it was cut)\n" +
		"  task: cp (copy)\n" +
		"    a                \x1b[36mmodified\x1b[0m\n" +
		"      \x1b[1m--- /etc/motd\x1b[0m\n" +
		"      \x1b[1m+++ /etc/motd\x1b[0m\n" +
		"      \x1b[36m@@ -1 +1 @@\x1b[0m\n" +
		"      \x1b[31m-old\uFFFD[2J\x1b[0m\n" +
		"      \x1b[32m+new\x1b[0m\n" +
		"       same\n" +
		"\n\x1b[1mplay: web\x1b[0m\n" +
		"  task: cp (copy)\n" +
		"    a                \x1b[33mfailed (rescued)\x1b[0m\n" +
		"      | s.yml:1:1: no\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error("(-want +got)\n" + diff)
	}
}

// What is not shown whole is said, with what to type for it.
func TestPrinterTellsOfOutputs(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	p := NewPrinter(&out, false)
	p.Task(events.TaskFinished{
		Job: strings.Repeat("ab", 16), Attempt: 2, Seq: 7, Play: "web", Task: "build", Module: "shell", Host: "a", Status: "executed",
		Command: &events.Command{Cmd: "make", Stdout: "much", Truncated: true},
		Outputs: []events.Output{
			{Name: "stderr", Bytes: 900, SHA256: "ab"},
			{Name: "stdout", Bytes: 3 << 20, SHA256: "cd"},
			{Name: "message", Bytes: 40 << 10, Lost: "no\x1b[2J room"},
		},
	})
	want := `
play: web
  task: build (shell)
    a                executed
      | (message was 40 KiB, and was not kept whole: no�[2J room)
      | (stderr is 900 bytes, stdout is 3.0 MiB; all of it: jet jobs output abababababab --task 2.7)
`
	if diff := cmp.Diff(strings.ReplaceAll(want, `\uFFFD`, "\uFFFD"), out.String()); diff != "" {
		t.Error("(-want +got)\n" + diff)
	}
}

func TestTaskCutsLongOutput(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", MaxOutput)
	said := long + "what went wrong"
	e := engine.Event{
		Host: "a", Diff: long, Message: long, Command: &engine.CommandResult{Cmd: "x", Stdout: said, Stderr: "short"},
		Duration: 1500 * time.Microsecond,
	}
	got := Task(e)
	if !got.Command.Truncated || len(got.Command.Stdout) > MaxOutput ||
		!strings.HasPrefix(got.Command.Stdout, "éé") || !strings.HasSuffix(got.Command.Stdout, "éwhat went wrong") ||
		!utf8.ValidString(got.Command.Stdout) {
		t.Errorf("stdout of %d bytes, truncated %v", len(got.Command.Stdout), got.Command.Truncated)
	}
	if len(got.Diff) > MaxOutput || !strings.Contains(got.Diff, "é\n[…]\né") {
		t.Errorf("diff of %d bytes", len(got.Diff))
	}
	if diff := cmp.Diff(map[string]string{"stdout": said, "message": long, "diff": long}, Whole(e)); diff != "" {
		t.Errorf("whole texts (-want +got)\n%.1000s", diff)
	}
	e.Diff, e.Message, e.Command.Stdout = "+a", "m", strings.Repeat("x", MaxOutput)
	if whole := Whole(e); whole != nil || Task(e).Command.Truncated {
		t.Errorf("%d texts of an event that cuts none", len(whole))
	}
	if got.DurationMS != 1.5 {
		t.Errorf("duration %v ms, want 1.5", got.DurationMS)
	}
}
