package engine

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// gather does several names at once, of those that have the same other.
type gather struct {
	Name  string `yaml:"name_is,required"`
	Other string `yaml:"other"`
	lab   *lab
	more  []string
}

func (g *gather) Validate() error {
	if g.Name == "nonsense" {
		return errors.New("that is nonsense")
	}
	return nil
}

func (g *gather) Merge(items []Module) bool {
	var more []string
	for _, i := range items {
		o := i.(*gather) //nolint:forcetypeassert // the engine promises it
		if o.Other != g.Other {
			return false
		}
		more = append(more, o.Name)
	}
	g.more = more
	return true
}

func (g *gather) Query(context.Context, *Host) (Plan, error) {
	return Plan{Need: Create}, nil
}

func (g *gather) Apply(context.Context, *Host, Plan) (Result, error) {
	g.lab.called("%s", strings.Join(append([]string{g.Name}, g.more...), "+"))
	if g.Name == "bad" || slices.Contains(g.more, "bad") {
		return Result{}, errors.New("no bad ones")
	}
	return Result{}, nil
}

// TestMerge runs a task with items whose module can do several at once.
func TestMerge(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		task string
		want string // what was done, item by item
		end  string
	}{
		"only the name differs": {
			task: "!gather {name_is: '{{ item }}', with: {items: [a, b, c]}}", want: "a+b+c", end: "created, 3 items",
		},
		"one item": {
			task: "!gather {name_is: '{{ item }}', with: {items: [a]}}", want: "a", end: "created, 1 items",
		},
		"another parameter differs": {
			task: "!gather {name_is: '{{ item }}', other: '{{ item }}', with: {items: [a, b]}}", want: "a b", end: "created, 2 items",
		},
		"results are kept": {
			task: "!gather {name_is: '{{ item }}', with: {items: [a, b]}, and: {register: r}}", want: "a b", end: "created, 2 items",
		},
		"results are judged": {
			task: "!gather {name_is: '{{ item }}', with: {items: [a, b]}, and: {changed_when: (eq 1 1)}}", want: "a b", end: "created, 2 items",
		},
		"failures are passed over": {
			task: "!gather {name_is: '{{ item }}', with: {items: [a, bad, c]}, and: {ignore_errors: true}}", want: "a bad c", end: "ignored, 3 items: item 2: no bad ones",
		},
		"a failure is one of all": {
			task: "!gather {name_is: '{{ item }}', with: {items: [a, bad, c]}}", want: "a+bad+c", end: "failed, 3 items: no bad ones",
		},
		"it is tried again as one": {
			task: "!gather {name_is: '{{ item }}', with: {items: [a, bad]}, and: {retry: 1, delay: 0}}", want: "a+bad a+bad", end: "failed, 2 items: no bad ones",
		},
		"the condition leaves one out": {
			task: "!gather {name_is: '{{ item }}', with: {items: [a, b, c], condition: (ne item \"b\")}}", want: "a+c", end: "created, 3 items",
		},
		"the condition leaves all out": {
			task: "!gather {name_is: '{{ item }}', with: {items: [a, b], condition: (eq item \"c\")}}", want: "", end: "skipped, 2 items",
		},
		"the same handler": {
			task: "!gather {name_is: '{{ item }}', with: {items: [a, b]}, and: {notify: done}}", want: "a+b", end: "created, 2 items",
		},
		"a handler each": {
			task: "!gather {name_is: '{{ item }}', with: {items: [a, b]}, and: {notify: 'done {{ item }}'}}", want: "a b", end: "created, 2 items",
		},
		"another user each": {
			task: "!gather {name_is: '{{ item }}', with: {items: [a, b], sudo: '{{ item }}'}}", want: "a b", end: "created, 2 items",
		},
		"the same environment": {
			task: "!gather {name_is: '{{ item }}', with: {items: [a, b], environment: {A: b}}}", want: "a+b", end: "created, 2 items",
		},
		"another environment each": {
			task: "!gather {name_is: '{{ item }}', with: {items: [a, b], environment: {A: '{{ item }}'}}}", want: "a b", end: "created, 2 items",
		},
		"a fault is that of its item": {
			task: "!gather {name_is: '{{ item }}', with: {items: [a, nonsense]}}", want: "a",
			end: "failed, 2 items: site.yml:4:7: item 2: that is nonsense",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, "-- site.yml --\n- name: p\n  groups: [all]\n  tasks:\n    - "+tt.task+"\n").hosts("h")
			reg, err := NewRegistry(Spec{Name: "gather", Doc: "Gathers.", New: func() Module { return &gather{lab: l} }})
			if err != nil {
				t.Fatal(err)
			}
			pb, err := Parse(filepath.Join(l.dir, "site.yml"), reg, ParseOptions{})
			if err != nil {
				t.Fatal(err)
			}
			var end string
			if _, err := Run(t.Context(), pb, l.inventory(), Options{Dialer: l, Report: func(e Event) {
				if e.Kind == TaskFinished {
					end = string(e.Status) + ", " + string(rune('0'+e.Items)) + " items"
					if e.Message != "" {
						end += ": " + strings.ReplaceAll(e.Message, l.dir+"/", "")
					}
				}
			}}); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, strings.Join(l.calls, " ")); diff != "" {
				t.Errorf("done, -want +got:\n%s", diff)
			}
			if end != tt.end {
				t.Errorf("the task ended with %q, want %q", end, tt.end)
			}
		})
	}
}
