package engine

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/engine/conn"
)

// TestInquire checks that a coming task can be asked ahead of its turn, over a
// connection of the caller's, without a trace in the run.
func TestInquire(t *testing.T) {
	t.Parallel()
	l := site(t, "w1", `
  tasks:
    - !act
      key: "{{ word }}"
      with: {skip_if_exists: "/{{ word }}"}
      and: {notify: h, register: r, changed_when: true}
    - !store {var: x, value: 1}
    - !act {key: "{{ undefined }}"}
`)
	pb, err := l.parse()
	if err != nil {
		t.Fatal(err)
	}
	plans, err := pb.plan(&Options{})
	if err != nil {
		t.Fatal(err)
	}
	inv := l.inventory()
	host, _ := inv.Host("w1")
	h := newHostState(host)
	r := &run{inv: inv, links: newLinks(l)}
	vars := map[string]any{"word": "a"}
	dial := func(context.Context) (conn.Conn, error) { return &fakeConn{lab: l, user: "me"}, nil }
	needs := []Need{Create, Passive, Matched}
	for i := range plans[0].steps {
		x := execution{run: r, step: &plans[0].steps[i], host: h}
		q, err := x.inquire(t.Context(), vars, dial)
		if failed := err != nil; failed != (i == 2) || q.plan.Need != needs[i] || q.skip {
			t.Errorf("task %d: %+v, %v", i, q, err)
		}
	}
	wantLines(t, "calls", l.calls, "query w1 a")
	if diff := cmp.Diff(map[string]any{}, h.saved); diff != "" || len(h.notified) > 0 || h.stats != (Stats{}) {
		t.Errorf("it left %v, %v, %v", h.saved, h.notified, h.stats)
	}
	if len(l.dialed) > 0 {
		t.Errorf("dialled %v", l.dialed)
	}
	l.files["/a"] = true
	x := execution{run: r, step: &plans[0].steps[0], host: h}
	if q, err := x.inquire(t.Context(), vars, dial); !q.skip || err != nil {
		t.Errorf("%+v, %v; want it skipped", q, err)
	}
}
