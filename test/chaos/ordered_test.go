package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/internal/queue"
)

// halves is a run of nothing but halves of one key.
type halves struct {
	*evidence
	at time.Time
}

func (h *halves) store(kind, id string, after time.Duration) {
	h.at = h.at.Add(after)
	h.Sent = append(h.Sent, &sent{ID: id, Source: source, Type: kind, Key: jobKey})
	h.Events = append(h.Events, storedEvent{Seq: uint64(len(h.Events) + 1), Source: source, ID: id, Type: kind, Time: h.at})
}

func (h *halves) link(rule, of string) {
	h.Events = append(h.Events, storedEvent{
		Seq: uint64(len(h.Events) + 1), Source: "/rules/" + rule, ID: rule + "-" + of, Type: typeLink + rule, Subject: of, Time: h.at,
	})
}

// remembered is such a run in which all is as it should be.
func remembered() *halves {
	h := &halves{evidence: &evidence{}, at: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	h.store(typeLeft, "a", 0)
	h.link("chain", "a")
	h.store(typeLeft, "b", 9*time.Minute) // in the place of a, in the window of a
	h.link("chain", "b")
	h.store(typeRight, "c", time.Minute) // too late: it begins a window
	h.store(typeLeft, "d", 4*time.Minute)
	h.link("chain", "d")
	h.link("both", "d")
	h.link("third", "d")
	h.store(typeRight, "e", -time.Hour) // time does not go back
	h.store(typeRight, "f", time.Hour+11*time.Minute)
	for _, f := range expected(h.Sent, h.Events) {
		if f.job == "" {
			h.Decisions = append(h.Decisions, storedDecision{ID: f.rule + f.event, Rule: f.rule, Outcome: "fired", Seq: f.seq})
		}
	}
	return h
}

func TestExpected(t *testing.T) {
	t.Parallel()
	h := remembered()
	var got []string
	for _, f := range expected(h.Sent, h.Events) {
		got = append(got, f.rule+" "+f.event)
		if job := queue.ID("/rules/both", "both-d", "linked", ""); f.rule == "linked" && f.job != job {
			t.Errorf("the job of %+v", f)
		}
	}
	want := []string{"chain a", "chain b", "chain d", "both d", "third d", "linked both-d"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCheckOrdered(t *testing.T) {
	t.Parallel()
	at := func(h *halves, rule string) int {
		return slices.IndexFunc(h.Decisions, func(d storedDecision) bool { return d.Rule == rule })
	}
	for _, tc := range []struct {
		name  string
		plant func(h *halves)
		want  string // beginning of the one breach; none if it is empty
	}{
		{"nothing", func(*halves) {}, ""},
		{"an end", func(h *halves) {
			h.Decisions = append(h.Decisions, storedDecision{ID: "x", Rule: "both", Outcome: "expired", Seq: 5})
		}, ""},
		{"a firing is lost", func(h *halves) { i := at(h, "both"); h.Decisions = slices.Delete(h.Decisions, i, i+1) }, "lost: rule both"},
		{"a decision is there twice", func(h *halves) {
			h.Decisions = append(h.Decisions, storedDecision{ID: h.Decisions[at(h, "both")].ID, Rule: "both", Outcome: "expired"})
		}, "doubled: the decision of rule both"},
		{"a firing is there twice", func(h *halves) {
			d := h.Decisions[at(h, "third")]
			d.ID = "x"
			h.Decisions = append(h.Decisions, d)
		}, "doubled: rule third"},
		{"a firing of nothing", func(h *halves) {
			h.Decisions = append(h.Decisions, storedDecision{ID: "x", Rule: "silent", Outcome: "fired", Seq: 8})
		}, "stray: rule silent"},
		{"a failure", func(h *halves) {
			h.Decisions = append(h.Decisions, storedDecision{ID: "x", Rule: "both", Outcome: "failed", Seq: 8})
		}, "trouble: rule both"},
		{"a link is lost", func(h *halves) { h.Events[1].Source = "/elsewhere" }, "lost: the firing of chain a"},
		{"a link is there twice", func(h *halves) { h.link("chain", "b") }, "doubled: the firing of chain b"},
		{"a link of nothing", func(h *halves) { h.link("chain", "e") }, "stray: an event was published"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := remembered()
			tc.plant(h)
			c := newChecker(h.evidence)
			c.checkOrdered()
			var got []string
			for _, v := range c.found {
				got = append(got, string(v.Breach)+": "+v.Text)
			}
			if tc.want == "" && len(got) > 0 || tc.want != "" && (len(got) != 1 || !strings.HasPrefix(got[0], tc.want)) {
				t.Errorf("found %q, want %q", got, tc.want)
			}
		})
	}
}
