package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// branch is a member of a random list of tasks: a task that fails on some hosts,
// or a block.
type branch struct {
	name  string
	fails []string // hosts
	// skip makes a block's condition false on these hosts.
	skip                  []string
	tasks, rescue, always []branch
}

func branches(t *rapid.T, depth int, count *int) []branch {
	list := make([]branch, rapid.IntRange(0, 3).Draw(t, "length"))
	for i := range list {
		*count++
		b := branch{name: fmt.Sprintf("t%d", *count)}
		if depth > 0 && rapid.Bool().Draw(t, "block") {
			b.tasks = branches(t, depth-1, count)
			b.rescue = branches(t, depth-1, count)
			b.always = branches(t, depth-1, count)
			b.skip = someHosts(t, 8)
		}
		if b.tasks == nil && b.rescue == nil && b.always == nil {
			b.fails = someHosts(t, 4)
		}
		list[i] = b
	}
	return list
}

var walkers = []string{"w1", "w2", "w3"}

// someHosts draws each host once in a number of times.
func someHosts(t *rapid.T, times int) []string {
	var hosts []string
	for _, h := range walkers {
		if rapid.IntRange(1, times).Draw(t, "one in") == 1 {
			hosts = append(hosts, h)
		}
	}
	return hosts
}

// write writes the branches as a list of tasks.
func write(b *strings.Builder, indent string, list []branch) {
	for _, n := range list {
		if n.tasks == nil && n.rescue == nil && n.always == nil {
			fmt.Fprintf(b, "%s- !try {name: %s, fails: [%s]}\n", indent, n.name, strings.Join(n.fails, ", "))
			continue
		}
		fmt.Fprintf(b, "%s- !block\n", indent)
		for key, part := range map[string][]branch{"tasks": n.tasks, "rescue": n.rescue, "always": n.always} {
			if len(part) > 0 || key == "tasks" {
				fmt.Fprintf(b, "%s  %s:\n", indent, key)
				write(b, indent+"    ", part)
			}
		}
		fmt.Fprintf(b, "%s  with: {condition: 'not (host in [%s])'}\n", indent, quoted(n.skip))
	}
}

func quoted(list []string) string {
	var out []string
	for _, s := range list {
		out = append(out, `"`+s+`"`)
	}
	return strings.Join(out, ", ")
}

// model runs the branches on one host by plain recursion: it notes the tasks that
// are tried, and returns whether a failure is left.
type model struct {
	host  string
	lines []string
}

func (m *model) run(list []branch, skip bool) (ok bool) {
	for _, n := range list {
		if n.tasks == nil && n.rescue == nil && n.always == nil {
			if !skip {
				m.lines = append(m.lines, n.name)
			}
			if !skip && slices.Contains(n.fails, m.host) {
				return false
			}
			continue
		}
		skip := skip || slices.Contains(n.skip, m.host)
		ok := m.run(n.tasks, skip)
		if !ok && len(leaves(n.rescue)) > 0 {
			ok = m.run(n.rescue, skip)
		}
		if !m.run(n.always, skip) || !ok {
			return false
		}
	}
	return true
}

// leaves returns the tasks in a list.
func leaves(list []branch) []branch {
	var tasks []branch
	for _, n := range list {
		if n.tasks == nil && n.rescue == nil && n.always == nil {
			tasks = append(tasks, n)
		} else {
			tasks = slices.Concat(tasks, leaves(n.tasks), leaves(n.rescue), leaves(n.always))
		}
	}
	return tasks
}

// TestWalk compares random trees of blocks, with either strategy, to a recursive
// model: which tasks every host tries in which order, and how it ends.
func TestWalk(t *testing.T) {
	t.Parallel()
	l := newLab(t, `
-- inv/host_vars/w1.yml --
host: w1
-- inv/host_vars/w2.yml --
host: w2
-- inv/host_vars/w3.yml --
host: w3
`).hosts(walkers...)
	inv := l.inventory()
	reg := l.registry()
	file := filepath.Join(l.dir, "site.yml")
	rapid.Check(t, func(t *rapid.T) {
		count := 0
		tree := branches(t, 3, &count)
		strategy := rapid.SampledFrom([]string{"linear", "free"}).Draw(t, "strategy")
		var text strings.Builder
		fmt.Fprintf(&text, "- name: p\n  groups: [web]\n  strategy: %s\n  tasks:\n", strategy)
		write(&text, "    ", tree)
		if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		pb, err := Parse(file, reg, ParseOptions{})
		if err != nil {
			t.Fatal(err, "\n", text.String())
		}
		got := map[string][]string{}
		var order []string
		sum, err := Run(t.Context(), pb, inv, Options{Dialer: l, Report: func(e Event) {
			switch {
			case e.Kind == TaskStarted:
				order = append(order, e.Task)
			case e.Kind == TaskFinished && e.Status != StatusSkipped:
				got[e.Host] = append(got[e.Host], e.Task)
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		for _, host := range walkers {
			m := model{host: host}
			ok := m.run(tree, false)
			if diff := cmp.Diff(m.lines, got[host]); diff != "" {
				t.Fatalf("%s: tasks of %s differ (-want +got):\n%s\n%s", strategy, host, diff, text.String())
			}
			if failed := sum.Hosts[host].Failed > 0; failed == ok {
				t.Fatalf("%s: %s failed: %t, want %t\n%s", strategy, host, failed, !ok, text.String())
			}
		}
		if strategy == "linear" && len(slices.Compact(slices.Sorted(slices.Values(order)))) != len(order) {
			t.Fatalf("a task was started twice: %q", order)
		}
	})
}

// TestComing checks what is known of the tasks ahead of a host.
func TestComing(t *testing.T) {
	t.Parallel()
	l := site(t, "w1", `
  tasks:
    - !say {name: a, msg: x}
    - !block
      tasks:
        - !say {name: b, msg: x}
        - !block {tasks: [!say {name: c, msg: x}], rescue: [!say {name: no, msg: x}]}
      rescue: [!say {name: r, msg: x}, !say {name: s, msg: x}]
      always: [!say {name: d, msg: x}]
    - !say {name: e, msg: x}
    - !flush
    - !say {name: f, msg: x}
`)
	pb, err := l.parse()
	if err != nil {
		t.Fatal(err)
	}
	plans, err := pb.plan(&Options{})
	if err != nil {
		t.Fatal(err)
	}
	ahead := func(w *walk, n int) string {
		names := ""
		for _, s := range w.coming(plans[0], n) {
			names += s.name
		}
		return names
	}
	var w walk
	w.settle(plans[0])
	for i, want := range []string{"bcde", "cde", "de", "e", ""} {
		if got := ahead(&w, 9); got != want {
			t.Errorf("after %d tasks %q are ahead, want %q", i, got, want)
		}
		if i == 1 {
			failed := walk{at: w.at, frames: slices.Clone(w.frames)}
			failed.fail(plans[0], failure{})
			if got := ahead(&failed, 2); got != "sd" {
				t.Errorf("%q are ahead in the rescue, want sd", got)
			}
		}
		w.next(plans[0])
	}
}
