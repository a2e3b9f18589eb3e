package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/queue"
	"github.com/jet-bus/jet-bus/test/lab"
	"github.com/jet-bus/jet-bus/test/process"
)

// TestPlaybookPublishes follows a chain: a job whose playbook publishes an event
// for each host, and the job that a rule makes of each. The first job loses its
// runner after it has published: nothing is published twice.
func TestPlaybookPublishes(t *testing.T) {
	t.Parallel()
	hosts := lab.Hosts(t, 2)
	s := newSite(t, hosts)
	write(t, filepath.Join(s.content, "rules", "publish.yml"), `rules:
  - name: announce
    on: [com.example.announce]
    run:
      playbook: playbooks/announce.yml
      limit: web
      vars:
        note: ${{ event.data.note }}

  - name: announced
    on: [com.example.announced]
    condition: event.data.hosts[0] == event.subject
    run:
      playbook: playbooks/note.yml
      limit: ${{ event.subject }}
      vars:
        note: ${{ event.data.note }}
`)
	write(t, filepath.Join(s.content, "playbooks", "announce.yml"), `- name: Announce
  groups: [web]
  sudo: root
  tasks:
    - !publish
      name: Announce
      type: com.example.announced
      subject: "{{jet_host}}"
      data: {note: "{{note}}", hosts: ["{{jet_host}}"], password: "{{jet_sudo_password}}"}
      and: {register: sent}
    - !shell
      name: Note what was sent
      cmd: echo {{quote sent.id}} {{quote sent.source}} {{quote sent.duplicate}} >>/srv/sent
    - !shell
      name: Rest
      cmd: test -e /srv/rested || { touch /srv/rested; sleep 20; }
`)
	for _, h := range hosts {
		name := filepath.Join(s.content, "inventory", "host_vars", h.Name)
		text, err := os.ReadFile(name)
		must(t, err)
		write(t, name, string(text)+"jet_sudo_password: a-secret-of-the-suite\n")
	}
	s.startBus(t)
	first := s.startRunner(t, "r1")
	begun := s.publish(t, "com.example.announce", `{"note": "it's \"done\""}`)
	process.Eventually(t, "the first attempt to be at rest", func() bool {
		return !slices.ContainsFunc(hosts, func(h lab.Host) bool {
			_, err := h.Exec(t.Context(), "test", "-e", "/srv/rested")
			return err != nil
		})
	})
	first.Kill(t)
	s.startRunner(t, "r2")
	job := s.succeeded(t, begun.ID)
	if job.Attempt != 2 {
		t.Errorf("the job has succeeded in attempt %d, want 2", job.Attempt)
	}

	type stored struct{ Event events.Event }
	all := list[stored](t, s, "events", "--type", "com.example.announced")
	if len(all) != len(hosts) {
		t.Fatalf("%d events were published, want %d", len(all), len(hosts))
	}
	for _, e := range all {
		e := e.Event
		if strings.Contains(string(e.Data()), "secret") || !strings.Contains(string(e.Data()), "(hidden)") {
			t.Errorf("the data is %s", e.Data())
		}
		if e.Source() != "/jobs/"+job.ID || events.Extension(e, events.ExtCausation) != begun.ID {
			t.Errorf("event of %s, caused by %q", e.Source(), events.Extension(e, events.ExtCausation))
		}
		next := s.succeeded(t, e.ID())
		if next.Rule != "announced" || !slices.Equal(next.Hosts, []string{e.Subject()}) || next.State != queue.Succeeded {
			t.Errorf("the job that followed is %+v", next)
		}
		i := slices.IndexFunc(hosts, func(h lab.Host) bool { return h.Name == e.Subject() })
		if i < 0 {
			t.Fatalf("event of %q", e.Subject())
		}
		if got := on(t, hosts[i], "cat", "/srv/note"); got != "it's \"done\"\n" {
			t.Errorf("the note on %s is %q", e.Subject(), got)
		}
		sent := e.ID() + " " + e.Source()
		if got, want := on(t, hosts[i], "cat", "/srv/sent"), sent+" false\n"+sent+" true\n"; got != want {
			t.Errorf("what was sent on %s:\n%swant\n%s", e.Subject(), got, want)
		}
	}

	// Without a job: what jet runs itself.
	play := filepath.Join(s.home, "play.yml")
	write(t, play, "- name: p\n  groups: [all]\n  tasks:\n    - !publish {type: com.example.manual, source: /by/hand, data: [1, 2.5, null, {a: b}]}\n")
	if out := s.jet(t, "run", play, "--connection", "local"); out.Code != 0 {
		t.Errorf("jet run: exit code %d: %s%s", out.Code, out.Stdout, out.Stderr)
	}
	manual := list[stored](t, s, "events", "--type", "com.example.manual")
	if len(manual) != 1 || manual[0].Event.Source() != "/by/hand" || string(manual[0].Event.Data()) != `[1,2.5,null,{"a":"b"}]` {
		t.Errorf("jet run has published %v", manual)
	}
	if out := s.jet(t, "run", play, "--connection", "local", "--check"); out.Code != 0 {
		t.Errorf("jet run --check: exit code %d: %s%s", out.Code, out.Stdout, out.Stderr)
	}
	if n := len(list[stored](t, s, "events", "--type", "com.example.manual")); n != 1 {
		t.Errorf("check mode has published: there are %d events", n)
	}
	out := process.Run(t, process.Environment(t.TempDir()), "jet", "run", play, "--connection", "local")
	if out.Code != 1 || !strings.Contains(out.Stdout+out.Stderr, "Say where with --bus") {
		t.Errorf("jet run without a bus: exit code %d: %s%s", out.Code, out.Stdout, out.Stderr)
	}
}
