package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/access"
	"github.com/jet-bus/jet-bus/internal/queue"
	"github.com/jet-bus/jet-bus/test/lab"
	"github.com/jet-bus/jet-bus/test/process"
)

// secret is that of the site's webhook.
const secret = "an-example-secret-of-the-suite"

// site is everything of one installation: content, data, a home, and the
// processes that use them.
type site struct {
	content, data, home string
	listen              string
	knownHosts          string
	bus                 *process.Process
	addr                access.Address
}

// newSite lays out the content for hosts, and the webhooks. Nothing is started.
func newSite(t *testing.T, hosts []lab.Host) *site {
	t.Helper()
	dir := t.TempDir()
	s := &site{
		content: filepath.Join(dir, "content"), data: filepath.Join(dir, "data"), home: filepath.Join(dir, "home"),
		// A bus that starts again must be where its runners look for it.
		listen: net.JoinHostPort("127.0.0.1", strconv.Itoa(freePort(t))),
	}
	must(t, os.CopyFS(s.content, os.DirFS("testdata/content")))
	must(t, os.Mkdir(s.data, 0o700))
	must(t, os.Mkdir(s.home, 0o700))
	s.writeHooks(t)
	if len(hosts) == 0 { // no job of it will run
		hosts = []lab.Host{{Name: "host1", Addr: "127.0.0.1", Port: 1, User: "ops", KeyFile: "none"}}
	}
	s.knownHosts = hosts[0].KnownHosts
	writeInventory(t, filepath.Join(s.content, "inventory"), hosts)
	return s
}

// writeHooks writes the webhooks where jet-bus looks for them.
func (s *site) writeHooks(t *testing.T) {
	t.Helper()
	write(t, filepath.Join(s.data, "hooks.yml"),
		"hooks:\n  - name: github\n    kind: github\n    secret_files: [github.secret]\n")
	write(t, filepath.Join(s.data, "github.secret"), secret+"\n")
}

// writeInventory writes an inventory with all hosts in the group web.
func writeInventory(t *testing.T, dir string, hosts []lab.Host) {
	t.Helper()
	labels := []string{"one", "two", "three"}
	var group strings.Builder
	group.WriteString("hosts:\n")
	for i, h := range hosts {
		fmt.Fprintf(&group, "  - %s\n", h.Name)
		write(t, filepath.Join(dir, "host_vars", h.Name), fmt.Sprintf(
			"jet_ssh_hostname: %s\njet_ssh_port: %d\njet_ssh_user: %s\njet_ssh_private_key_file: %s\nlabel: %s\n",
			h.Addr, h.Port, h.User, h.KeyFile, labels[i]))
	}
	write(t, filepath.Join(dir, "groups", "web"), group.String())
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// write writes a file that only its owner can read.
func write(t *testing.T, file, text string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(file), 0o700))
	must(t, os.WriteFile(file, []byte(text), 0o600))
}

// freePort returns a port below those that outgoing connections take.
func freePort(t *testing.T) int {
	t.Helper()
	const low, high = 12000, 20000
	for range 100 {
		port := low + rand.IntN(high-low)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		must(t, l.Close())
		return port
	}
	t.Fatal("no port is free")
	return 0
}

// busArgs are the arguments the site's bus is started with.
func (s *site) busArgs(more ...string) []string {
	return append([]string{"--content", s.content, "--data", s.data, "--listen", s.listen, "--http", "127.0.0.1:0"}, more...)
}

// startBus starts the bus and returns when it takes events.
func (s *site) startBus(t *testing.T, more ...string) {
	t.Helper()
	file := filepath.Join(s.data, "address.json")
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	s.bus = process.Start(t, process.Environment(s.home), "jet-bus", "jet-bus", s.busArgs(more...)...)
	process.Eventually(t, "the bus", func() bool {
		if !s.bus.Running() {
			t.Fatalf("jet-bus ended: %s", s.bus.Errors(t))
		}
		addr, err := access.ReadAddress(s.data)
		s.addr = addr
		return err == nil
	})
}

// creds makes credentials for a runner and returns their file.
func (s *site) creds(t *testing.T, name string) string {
	t.Helper()
	file := filepath.Join(s.home, name+".creds")
	if _, err := os.Stat(file); err == nil {
		return file // it was started before
	}
	out := process.Run(t, process.Environment(s.home), "jet-bus", "user", "add", "--data", s.data, "--role", "runner", "--out", file, name)
	if out.Code != 0 {
		t.Fatalf("jet-bus user add: exit code %d: %s", out.Code, out.Stderr)
	}
	return file
}

// startRunner starts a runner with credentials of its own, known from nothing
// but the address of the bus, and returns when the bus knows it.
func (s *site) startRunner(t *testing.T, name string, more ...string) *process.Process {
	t.Helper()
	args := append([]string{
		"--server", s.addr.Bus, "--creds", s.creds(t, name), "--name", name, "--known-hosts", s.knownHosts,
		"--cache", filepath.Join(s.home, "cache-"+name), "--drain-timeout", "1s",
	}, more...)
	r := process.Start(t, process.Environment(s.home), "runner "+name, "jet-runner", args...)
	process.Eventually(t, "runner "+name, func() bool {
		for _, info := range list[queue.RunnerInfo](t, s, "runners") {
			if info.Name == name {
				return true
			}
		}
		return false
	})
	return r
}

// operator is the environment of who works on the site's bus.
func (s *site) operator() []string { return append(process.Environment(s.home), "JET_DATA="+s.data) }

// jet runs jet against the site's bus.
func (s *site) jet(t *testing.T, args ...string) process.Output {
	t.Helper()
	return process.Run(t, s.operator(), "jet", args...)
}

// startJet starts jet and lets it run.
func (s *site) startJet(t *testing.T, args ...string) *process.Process {
	t.Helper()
	return process.Start(t, s.operator(), "jet "+strings.Join(args, " "), "jet", args...)
}

// list runs jet with --json and returns what it printed.
func list[T any](t *testing.T, s *site, args ...string) []T {
	t.Helper()
	out := s.jet(t, append(args, "--json")...)
	if out.Code != 0 {
		t.Fatalf("jet %s: exit code %d: %s%s", strings.Join(args, " "), out.Code, out.Stdout, out.Stderr)
	}
	return parse[T](t, strings.Split(strings.TrimSuffix(out.Stdout, "\n"), "\n"))
}

// parse reads lines of JSON.
func parse[T any](t *testing.T, lines []string) []T {
	t.Helper()
	var all []T
	for _, line := range lines {
		if line == "" {
			continue
		}
		var v T
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("%q is not the JSON expected: %v", line, err)
		}
		all = append(all, v)
	}
	return all
}

// published is what jet publish --json prints.
type published struct {
	ID        string
	Seq       uint64
	Duplicate bool
}

// publish publishes an event of a type with data, given as JSON.
func (s *site) publish(t *testing.T, typ, data string) published {
	t.Helper()
	all := list[published](t, s, "publish", "--type", typ, "--source", "/e2e", "--data", data)
	if len(all) != 1 || all[0].ID == "" || all[0].Seq == 0 || all[0].Duplicate {
		t.Fatalf("jet publish printed %+v", all)
	}
	return all[0]
}

// jobs returns the jobs that an event caused.
func (s *site) jobs(t *testing.T, event string) []queue.Job {
	t.Helper()
	var of []queue.Job
	for _, j := range list[queue.Job](t, s, "jobs") {
		if j.Event != nil && j.Event.ID == event {
			of = append(of, j)
		}
	}
	return of
}

// job waits for the one job of an event to be as is says.
func (s *site) job(t *testing.T, event, what string, is func(queue.Job) bool) queue.Job {
	t.Helper()
	var last queue.Job
	process.Eventually(t, "the job of event "+event+" to be "+what, func() bool {
		all := s.jobs(t, event)
		if len(all) > 1 {
			t.Fatalf("event %s made %d jobs", event, len(all))
		}
		if len(all) == 1 {
			last = all[0]
			if last.State.Terminal() && !is(last) {
				t.Fatalf("job %s is %s: %s", last.ID, last.State, last.Reason)
			}
			return is(last)
		}
		return false
	})
	return last
}

// made waits for the job of an event.
func (s *site) made(t *testing.T, event string) queue.Job {
	t.Helper()
	return s.job(t, event, "made", func(queue.Job) bool { return true })
}

// succeeded waits for the job of an event to succeed.
func (s *site) succeeded(t *testing.T, event string) queue.Job {
	t.Helper()
	return s.job(t, event, "succeeded", func(j queue.Job) bool { return j.State == queue.Succeeded })
}

// results reads task results from CloudEvents, a line each.
func results(t *testing.T, lines []string) []events.TaskFinished {
	t.Helper()
	var all []events.TaskFinished
	for _, e := range parse[events.Event](t, lines) {
		if err := e.Validate(); err != nil {
			t.Fatalf("%s is no event: %v", e, err)
		}
		if e.Type() != events.TypeTaskFinished {
			continue // the others tell of the run as a whole
		}
		var r events.TaskFinished
		must(t, e.DataAs(&r))
		all = append(all, r)
	}
	return all
}

// watched returns the results of a job that has ended, as jet jobs watch prints
// them.
func (s *site) watched(t *testing.T, id string) []events.TaskFinished {
	t.Helper()
	out := s.jet(t, "jobs", "watch", id, "--json")
	if out.Code != 0 {
		t.Errorf("jet jobs watch: exit code %d: %s", out.Code, out.Stderr)
	}
	return results(t, strings.Split(out.Stdout, "\n"))
}

// checkResults checks that each attempt's results are numbered from 1, each once
// and in order, and that the last attempt has all the job says it has.
func checkResults(t *testing.T, j queue.Job, rs []events.TaskFinished) {
	t.Helper()
	seq := map[int]int{}
	for _, r := range rs {
		seq[r.Attempt]++
		if r.Seq != seq[r.Attempt] || r.Job != j.ID {
			t.Errorf("result %d of attempt %d is numbered %d, of job %s", seq[r.Attempt], r.Attempt, r.Seq, r.Job)
		}
		if r.Attempt < 1 || r.Attempt > j.Attempt {
			t.Errorf("a result of attempt %d, of %d", r.Attempt, j.Attempt)
		}
	}
	if seq[j.Attempt] == 0 || seq[j.Attempt] != j.Results {
		t.Errorf("%d results of the last attempt, want the %d that the job counts", seq[j.Attempt], j.Results)
	}
}
