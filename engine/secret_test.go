package engine

import "testing"

// TestNoLog checks that nothing a task says or shows gets out, of its own accord
// or of its block's, while what it registers stays whole.
func TestNoLog(t *testing.T) {
	t.Parallel()
	r := newLab(t, `
-- site.yml --
- name: p
  groups: [web]
  tasks:
    - !act {before: "old\n", after: "private\n", need: modify, cmd: private, and: {no_log: true}}
    - !block
      tasks:
        - !act {need: execute, cmd: private, code: 1, and: {register: r, retry: 1, delay: 0, ignore_errors: true}}
        - !note {msg: private}
      and: {no_log: true}
    - !note {msg: "{{ r.msg }}"}
`).hosts("w1").run(Options{Diff: true})
	var got []string
	for _, e := range r.events {
		switch e.Kind {
		case TaskFinished, TaskRetrying:
			got = append(got, string(e.Status)+" "+e.Message+" "+e.Diff)
			if e.Command != nil {
				t.Errorf("command %+v", e.Command)
			}
		}
	}
	wantLines(t, "events", got,
		"modified  ", " "+unsaid+" ", "ignored "+unsaid+" ", "passive "+unsaid+" ", "passive exit status 1 ")
}
