package engine

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestJudge is what changed_when and failed_when make of a task.
func TestJudge(t *testing.T) {
	t.Parallel()
	const loses = "!act {lost: 9"
	tests := []struct {
		name, task, and string
		check           bool
		status          Status
		changed         bool
		message         string
	}{
		{name: "no change", task: "!run {cmd: ok", and: "changed_when: false", status: StatusPassive},
		{name: "a change by data", task: "!run {cmd: ok", and: "changed_when: rc == 0 && changed", status: StatusExecuted, changed: true},
		{name: "a change of what matched", task: "!act {need: matched", and: "changed_when: (eq status \"matched\")", status: StatusExecuted, changed: true},
		{name: "a created file is none", task: "!act {need: create", and: "changed_when: false", status: StatusPassive},
		{name: "fails", task: "!run {cmd: ok", and: "failed_when: (eq out \"printed\")", status: StatusFailed, message: `failed_when holds: (eq out "printed")`},
		{name: "fails, any module", task: "!act {need: matched", and: "failed_when: status == \"matched\"", status: StatusFailed, message: `failed_when holds: status == "matched"`},
		{name: "the exit status is fine", task: "!run {cmd: seven", and: "failed_when: rc > 7", status: StatusExecuted, changed: true},
		{name: "and no change", task: "!run {cmd: seven", and: "failed_when: rc > 7, changed_when: rc != 7", status: StatusPassive},
		{name: "the exit status is not", task: "!run {cmd: seven", and: "failed_when: failed", status: StatusFailed, message: "failed_when holds: failed"},
		{name: "no rescue of other errors", task: "!act {fail: 1", and: "failed_when: false", status: StatusFailed, message: "try 1 failed"},
		{name: "nor of lost connections", task: loses, and: "failed_when: false", status: StatusUnreachable, message: "reading"},
		{name: "nor of a module's own command", task: "!act {fail: 1, command: true", and: "failed_when: false", status: StatusFailed, message: "exit status 1"},
		{name: "failure is decided once known", task: "!run {cmd: ok", and: "failed_when: undefined > 1", status: StatusFailed, message: "evaluating failed_when"},
		{name: "fault in changed_when", task: "!run {cmd: ok", and: "changed_when: undefined > 1", status: StatusFailed, message: "evaluating changed_when"},
		{name: "check mode", task: "!run {cmd: ok", and: "changed_when: false, failed_when: true", check: true, status: StatusPassive},
		{name: "check mode without data", task: "!run {cmd: ok", and: "changed_when: rc == 5", check: true, status: StatusExecuted, changed: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := site(t, "w1", "  tasks:\n    - "+tt.task+", and: {'"+
				strings.ReplaceAll(strings.ReplaceAll(tt.and, ": ", "': '"), ", ", "', '")+"'}}\n")
			l.codes["seven"] = 7
			e := l.run(Options{Check: tt.check}).last(t)
			if e.Status != tt.status || e.Changed != tt.changed || !strings.Contains(e.Message, tt.message) {
				t.Errorf("%s, changed %t, %q; want %s, %t, %q", e.Status, e.Changed, e.Message, tt.status, tt.changed, tt.message)
			}
		})
	}
}

// TestRegister checks what is stored of a task, and that it is, also when the task
// fails or is skipped.
func TestRegister(t *testing.T) {
	t.Parallel()
	const show = "\n    - !say {msg: \"{{ to_json r }}\"}\n"
	tests := []struct{ name, task, want string }{
		{"a command", "!run {cmd: ok, and: {register: r}}", `{"changed":true,"failed":false,"msg":"","out":"printed","rc":0,"status":"executed"}`},
		{"a failure", "!run {cmd: seven, and: {register: r, ignore_errors: true}}", `{"changed":false,"failed":true,"msg":"exit status 7","out":"printed","rc":7,"status":"ignored"}`},
		{"skipped", "!run {cmd: x, with: {condition: false}, and: {register: r}}", `{"changed":false,"failed":false,"msg":"","status":"skipped"}`},
		{"message", "!note {msg: hello, and: {register: r}}", `{"changed":false,"failed":false,"msg":"hello","status":"passive"}`},
		{
			"items", "!run {cmd: \"{{ item }}\", with: {items: [ok, seven]}, and: {register: r, ignore_errors: true}}",
			`{"changed":true,"failed":true,"msg":"item 2: exit status 7","results":[` +
				`{"changed":true,"failed":false,"item":"ok","msg":"","out":"printed","rc":0,"status":"executed"},` +
				`{"changed":false,"failed":true,"item":"seven","msg":"item 2: exit status 7","out":"printed","rc":7,"status":"ignored"}],"status":"ignored"}`,
		},
		{"no items", "!run {cmd: x, with: {items: []}, and: {register: r}}", `{"changed":false,"failed":false,"msg":"","results":[],"status":"skipped"}`},
		{
			"in a rescue", "!block {tasks: [!run {cmd: seven, and: {register: r}}], rescue: [!say {msg: x}]}",
			`{"changed":false,"failed":true,"msg":"exit status 7","out":"printed","rc":7,"status":"failed"}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := site(t, "w1", "  tasks:\n    - "+tt.task+show)
			l.codes["seven"] = 7
			e := l.run(Options{}).last(t)
			if diff := cmp.Diff(tt.want, e.Message); diff != "" {
				t.Errorf("registered differs (-want +got):\n%s", diff)
			}
		})
	}
}

// TestTimeout checks that a limit holds for one attempt, and is named.
func TestTimeout(t *testing.T) {
	tests := []struct {
		name, task string
		status     Status
		took       time.Duration
		message    string
	}{
		{"one attempt", "!run {cmd: sleep, with: {timeout: 30s}}", StatusFailed, 30 * time.Second, "the task was stopped at its timeout of 30s"},
		{"each attempt", "!run {cmd: sleep, with: {timeout: 1m}, and: {retry: 1, delay: 5}}", StatusFailed, 125 * time.Second, "the task was stopped at its timeout of 1m0s"},
		{"ignored", "!run {cmd: sleep, with: {timeout: 30s}, and: {ignore_errors: true}}", StatusIgnored, 30 * time.Second, "timeout of 30s"},
		{"of a block", "!block {tasks: [!run {cmd: sleep}], with: {timeout: 2s}}", StatusFailed, 2 * time.Second, "timeout of 2s"},
		{"in time", "!run {cmd: ok, with: {timeout: 2s}}", StatusExecuted, 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := site(t, "w1", "  tasks:\n    - "+tt.task+"\n").run(Options{}).last(t)
				if e.Status != tt.status || e.Duration != tt.took || !strings.HasSuffix(e.Message, tt.message) {
					t.Errorf("%s after %s: %q; want %s, %s, %q", e.Status, e.Duration, e.Message, tt.status, tt.took, tt.message)
				}
			})
		})
	}
}

// TestRetrying checks that a new attempt is told of before it is made, without
// secrets.
func TestRetrying(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := site(t, "w1", "  tasks:\n    - !run {cmd: open s3cret, and: {retry: 2, delay: 3, failed_when: msg == \"s3cret\" || rc == 0}, with: {delegate_to: w1}}\n")
		began := time.Now()
		var got []string
		l.run(Options{SudoPassword: "rc == 0", Report: func(e Event) {
			if e.Kind == TaskRetrying {
				got = append(got, strings.Join([]string{e.Host, e.Task, e.Message, e.Started.Sub(began).String()}, "|"))
				if e.Attempts != len(got) {
					t.Errorf("attempts: %d, want %d", e.Attempts, len(got))
				}
			}
		}})
		const message = `|failed_when holds: msg == "s3cret" || (hidden)|`
		wantLines(t, "retries", got, "w1|run"+message+"0s", "w1|run"+message+"3s")
	})
}
