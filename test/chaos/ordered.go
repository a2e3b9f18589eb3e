package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/jet-bus/jet-bus/internal/queue"
)

const (
	// sources is what the sources of all events of the load begin with.
	sources = "/chaos/"
	// keys is by how many keys the halves are told apart, jobKey the one for which there are jobs.
	keys   = 8
	jobKey = "k0"
	// within is how long rules wait, by the clock that jet-bus has: clocks that jump end
	// windows early. That of the absence is longer than all jumps together.
	within = 10 * time.Minute
	// enough is how many halves of a key the throttle takes for a firing.
	enough = 3
)

// nextHalf makes half n of a load.
func nextHalf(rng *rand.Rand, n, hosts int) *sent {
	return &sent{
		ID: fmt.Sprintf("h%05d", n), Source: []string{"/chaos/http", "/chaos/bus"}[rng.IntN(2)],
		Type: []string{typeLeft, typeRight}[rng.IntN(2)], Key: fmt.Sprintf("k%d", rng.IntN(keys)),
		Hosts: []string{hostName(rng.IntN(hosts))},
	}
}

// orderedRules are the rules that remember: two halves by their key, every third half
// of a key, an event for each left half, and an absence that never lasts as long as it
// should. They publish, and a rule waits for some of that.
func orderedRules() string {
	publishing := func(name, when string) string {
		return "  - name: " + name + "\n    " + when + "\n    publish:\n      type: " + typeLink + name + `
      subject: "${{ event.id }}"
      data: {hosts: "${{ event.data.hosts }}", key: "${{ event.data.key }}", work: "${{ event.data.work }}"}
`
	}
	return publishing("both", "all: {within: 10m, key: event.data.key, clauses: {left: {on: "+typeLeft+"}, right: {on: "+typeRight+"}}}") +
		publishing("third", "on: ["+typeLeft+", "+typeRight+"]\n    throttle: {key: event.data.key, every: 10m, count: 3}") +
		publishing("chain", "on: ["+typeLeft+"]") +
		rule("linked", typeLink+"both", `event.data.key == "`+jobKey+`"`) +
		"  - name: silent\n    absent: {on: [" + typeLeft + ", " + typeRight + "], key: event.data.key, within: 168h}\n" +
		`    run: {playbook: playbooks/mark.yml, vars: {cause: "${{ key }}", rule: silent, work: "0.1"}}` + "\n"
}

// firing is one that has to be: of a rule, by the event at seq. It publishes an event, or
// makes a job.
type firing struct {
	rule, event string
	seq         uint64
	job         string
}

// expected works out what has to fire, from what is stored and when: this is what the
// rules mean, said once more.
func expected(load []*sent, stored []storedEvent) (out []firing) {
	type identity struct{ source, id string }
	key := map[string]string{}
	for _, s := range load {
		key[s.ID] = s.Key
	}
	type half struct {
		identity
		kind string
		at   time.Time
	}
	joins, counts := map[string][]half{}, map[string][]half{}
	var clock time.Time
	for _, e := range stored {
		if e.Time.After(clock) { // time does not go back
			clock = e.Time
		}
		h := half{identity{e.Source, e.ID}, e.Type, clock}
		same := func(o half) bool { return o.identity == h.identity }
		fire := func(rule string) { out = append(out, firing{rule: rule, event: e.ID, seq: e.Seq}) }
		switch e.Type {
		case typeLink + "both":
			if key[e.Subject] == jobKey {
				out = append(out, firing{"linked", e.ID, e.Seq, queue.ID(e.Source, e.ID, "linked", "")})
			}
			continue
		case typeLeft:
			fire("chain")
		case typeRight:
		default:
			continue
		}
		k := key[e.ID]

		// A join begins with its first half, whichever newer one has taken its place.
		join := joins[k]
		if len(join) > 0 && !clock.Before(join[0].at.Add(within)) {
			join = nil
		}
		switch i := slices.IndexFunc(join, func(o half) bool { return o.kind == h.kind }); {
		case slices.ContainsFunc(join, same):
		case i >= 0:
			h := h
			h.at = join[0].at
			join = []half{h}
		default:
			join = append(join, h)
		}
		if len(join) == 2 {
			fire("both")
			join = nil
		}
		joins[k] = join

		count := slices.DeleteFunc(counts[k], func(o half) bool { return !clock.Before(o.at.Add(within)) })
		if !slices.ContainsFunc(count, same) {
			count = append(count, h)
		}
		if len(count) == enough {
			fire("third")
			count = nil
		}
		counts[k] = count
	}
	return out
}

// links counts the events that rules have published, by rule and cause.
func links(stored []storedEvent) map[string]int {
	n := map[string]int{}
	for _, e := range stored {
		if rule, ok := strings.CutPrefix(e.Source, "/rules/"); ok {
			n[rule+" "+e.Subject]++
		}
	}
	return n
}

// linked reports whether all has been published that has to be.
func linked(firings []firing, stored []storedEvent) bool {
	there := links(stored)
	return !slices.ContainsFunc(firings, func(f firing) bool { return f.job == "" && there[f.rule+" "+f.event] == 0 })
}

// checkOrdered: each firing of a rule that remembers is recorded once and no other is,
// each has published its event, once, and the jobs of these have causes.
func (c *checker) checkOrdered() {
	type of struct {
		rule string
		seq  uint64
	}
	want := map[of]bool{}
	causes := map[string]int{}
	for _, f := range expected(c.Sent, c.Events) {
		if f.job != "" { // that rule does not remember
			c.causes[f.job] = "event " + f.event + ", rule " + f.rule
			continue
		}
		causes[f.rule+" "+f.event]++
		want[of{f.rule, f.seq}] = true
	}
	c.checkLinks(causes)
	records, fired := map[string]int{}, map[of]int{}
	for _, d := range c.Decisions {
		if records[d.ID]++; records[d.ID] == 2 {
			c.report(doubled, "the decision of rule %s about event %d is recorded again", d.Rule, d.Seq)
		}
		switch d.Outcome {
		case "fired":
			fired[of{d.Rule, d.Seq}]++
			if !want[of{d.Rule, d.Seq}] {
				c.report(stray, "rule %s has fired at event %d, and nothing it waits for was there", d.Rule, d.Seq)
			}
		case "expired":
		default:
			c.report(trouble, "rule %s says %s at event %d: %s", d.Rule, d.Outcome, d.Seq, d.Error)
		}
	}
	for w := range want {
		switch n := fired[w]; {
		case n == 0:
			c.report(lost, "rule %s has not fired at event %d", w.rule, w.seq)
		case n > 1:
			c.report(doubled, "rule %s has fired %d times at event %d", w.rule, n, w.seq)
		}
	}
	c.fired = len(want)
}

// checkLinks: each firing has published its event, no more often than what caused it is stored.
func (c *checker) checkLinks(causes map[string]int) {
	there := links(c.Events)
	for of, copies := range causes {
		switch n := there[of]; {
		case n == 0:
			c.report(lost, "the firing of %s has published nothing", of)
		case n > copies:
			c.report(doubled, "the firing of %s, which had to be %d times, has published %d times", of, copies, n)
		}
		delete(there, of)
	}
	for of := range there {
		c.report(stray, "an event was published by the firing of %s, which was not to be", of)
	}
}
