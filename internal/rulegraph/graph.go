package rulegraph

import (
	"cmp"
	"slices"
	"strings"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/rules"
)

// Graph is how the rules of a set hang together.
type Graph struct {
	Nodes []*Node `json:"nodes"`
	Edges []*Edge `json:"edges"`
	// Loops are circles in which events lead to rules and these to events again; one
	// for each group of rules that lead to each other.
	Loops []Loop `json:"loops,omitempty"`

	jobs []jobs
}

// jobs is what leads from the jobs of a rule to rules: the events of a type about
// them. Other rules may run the playbook, and events of the type be about their jobs,
// so a way through the nodes of both says nothing.
type jobs struct {
	rule, playbook, event *Node
	heard                 []*Node
}

// Kind says what a node is.
type Kind string

// The kinds of nodes.
const (
	KindEvent    Kind = "event"
	KindRule     Kind = "rule"
	KindPlaybook Kind = "playbook"
	KindTarget   Kind = "notification"
	KindFact     Kind = "fact"
)

// Node is a thing that rules have to do with.
type Node struct {
	Kind Kind   `json:"kind"`
	Name string `json:"name"`
	// Off says why a rule does nothing: disabled, or shadow.
	Off string `json:"off,omitempty"`
}

// Verb says what an edge means.
type Verb string

// The verbs. They begin at a rule, but for events that trigger, for what a playbook
// publishes, and for the events that tell of its job; of reads, the rule is the end.
const (
	Triggers  Verb = "triggers"
	Runs      Verb = "runs"
	Tells     Verb = "is told of as"
	Publishes Verb = "publishes"
	Notifies  Verb = "notifies"
	Sets      Verb = "sets"
	Reads     Verb = "is read by"
)

// Edge leads from one node to another.
type Edge struct {
	From *Node `json:"from"`
	Verb Verb  `json:"verb"`
	To   *Node `json:"to"`
	// Loop is true if the edge is part of a circle.
	Loop bool `json:"loop,omitempty"`

	// derived is true if the rule does not name the event, or the fact, as it is.
	derived bool
}

// Loop is a circle: each node leads to the next, and the last to the first.
type Loop []*Node

// String returns the names of the nodes, the first again as the last.
func (l Loop) String() string {
	var b strings.Builder
	for _, n := range l {
		b.WriteString(n.Name + " -> ")
	}
	return b.String() + l[0].Name
}

// Build draws the rules of a set. Published returns the types of the events that a
// playbook publishes by itself; nil if that is not known. Rules that are disabled or
// shadows are drawn, and are part of no loop.
func Build(set *rules.Set, published func(playbook string) []string) *Graph {
	b := &builder{graph: new(Graph), nodes: map[nodeKey]*Node{}, done: map[edgeKey]*Edge{}, published: published}
	for _, r := range set.Rules() {
		b.rule(r)
	}
	b.jobs(set)
	b.connect(set)
	b.graph.findLoops()
	return b.graph
}

type nodeKey struct {
	kind Kind
	name string
}

type edgeKey struct {
	from, to *Node
	verb     Verb
}

type builder struct {
	graph     *Graph
	nodes     map[nodeKey]*Node
	done      map[edgeKey]*Edge
	published func(string) []string
	// made are the events that rules and playbooks publish, or that tell of their jobs.
	made []*Node
}

func (b *builder) node(kind Kind, name string) *Node {
	k := nodeKey{kind, name}
	n, ok := b.nodes[k]
	if !ok {
		n = &Node{Kind: kind, Name: name}
		b.nodes[k] = n
		b.graph.Nodes = append(b.graph.Nodes, n)
	}
	return n
}

func (b *builder) edge(from *Node, verb Verb, to *Node) *Edge {
	k := edgeKey{from, to, verb}
	if b.done[k] == nil {
		b.done[k] = &Edge{From: from, Verb: verb, To: to}
		b.graph.Edges = append(b.graph.Edges, b.done[k])
	}
	return b.done[k]
}

// derive adds an edge that follows from others, unless it is there.
func (b *builder) derive(from *Node, verb Verb, to *Node) {
	if b.done[edgeKey{from, to, verb}] == nil {
		b.edge(from, verb, to).derived = true
	}
}

func (b *builder) rule(r *rules.Rule) {
	for _, on := range r.On {
		b.node(KindEvent, on)
	}
	n := b.node(KindRule, r.Name)
	switch {
	case !r.Enabled:
		n.Off = "disabled"
	case r.Shadow:
		n.Off = "shadow"
	}
	for _, on := range r.On {
		b.edge(b.node(KindEvent, on), Triggers, n)
	}
	for _, key := range facts(texts(r)) {
		b.edge(b.node(KindFact, key), Reads, n)
	}
	if r.Run != nil {
		b.playbook(n, r.Run.Playbook)
	}
	for _, p := range r.Publish {
		b.publish(n, p.Type)
	}
	for _, s := range r.Set {
		b.edge(n, Sets, b.node(KindFact, oneLine(s.KeyText())))
	}
	for _, m := range r.Notify {
		b.edge(n, Notifies, b.node(KindTarget, m.To))
	}
}

func (b *builder) playbook(rule *Node, name string) {
	p := b.node(KindPlaybook, name)
	b.edge(rule, Runs, p)
	if b.published == nil {
		return
	}
	for _, typ := range b.published(name) {
		b.publish(p, typ)
	}
}

func (b *builder) publish(from *Node, typ string) {
	e := b.node(KindEvent, typ)
	b.edge(from, Publishes, e)
	b.make(e)
}

// make notes that there are such events because of rules.
func (b *builder) make(e *Node) {
	if !slices.Contains(b.made, e) {
		b.made = append(b.made, e)
	}
}

// jobs leads the playbooks that rules run to the events that tell of their jobs, as
// far as a rule is for them and does not ask for the jobs of another one.
func (b *builder) jobs(all *rules.Set) {
	for _, r := range all.Rules() {
		if r.Run == nil {
			continue
		}
		for _, typ := range events.JobTypes() {
			j := jobs{rule: b.node(KindRule, r.Name), playbook: b.node(KindPlaybook, r.Run.Playbook)}
			for _, other := range all.Rules() {
				if hears(other, typ, r.Name) {
					j.heard = append(j.heard, b.node(KindRule, other.Name))
				}
			}
			if len(j.heard) == 0 {
				continue
			}
			j.event = b.node(KindEvent, typ)
			b.edge(j.playbook, Tells, j.event)
			b.make(j.event)
			b.graph.jobs = append(b.graph.jobs, j)
		}
	}
}

// hears reports whether r may be for an event of a type that tells of a job of the
// rule named.
func hears(r *rules.Rule, typ, name string) bool {
	return slices.ContainsFunc(r.Clauses, func(c *rules.Clause) bool {
		if !slices.ContainsFunc(c.On, func(on string) bool { return covers(on, typ) }) {
			return false
		}
		asked, only := jobsOf(c.Condition)
		return !only || asked == name
	})
}

// connect leads events that are published to the rules that are for them, also by a
// prefix of their type; and facts whose key is worked out to those who read them.
func (b *builder) connect(all *rules.Set) {
	for _, e := range b.made {
		for _, r := range all.Rules() {
			if slices.ContainsFunc(r.On, func(on string) bool { return covers(on, e.Name) }) {
				b.derive(e, Triggers, b.node(KindRule, r.Name))
			}
		}
	}
	// What is set under a key with expressions may be any fact of its shape, and what is
	// read under one may be any.
	var set, read []*Edge
	for _, e := range b.graph.Edges {
		switch e.Verb {
		case Sets:
			set = append(set, e)
		case Reads:
			read = append(read, e)
		}
	}
	for _, s := range set {
		for _, r := range read {
			if r.From.Name == anyFact || shaped(s.To.Name, r.From.Name) {
				b.derive(s.To, Reads, r.To)
			}
		}
	}
}

// shaped reports whether a key that is read may be one that is set under a key with
// expressions.
func shaped(set, read string) bool {
	head, _, found := strings.Cut(set, "${{")
	if !found {
		return set == read
	}
	tail := set[strings.LastIndex(set, "}}")+len("}}"):]
	return len(read) >= len(head)+len(tail) && strings.HasPrefix(read, head) && strings.HasSuffix(read, tail)
}

// sorted returns the edges that begin at a node, by verb and name.
func (g *Graph) sorted(from *Node) []*Edge {
	var out []*Edge
	for _, e := range g.Edges {
		if e.From == from {
			out = append(out, e)
		}
	}
	slices.SortStableFunc(out, func(a, b *Edge) int {
		return cmp.Or(cmp.Compare(order(a.Verb), order(b.Verb)), strings.Compare(a.To.Name, b.To.Name))
	})
	return out
}

func order(v Verb) int {
	return slices.Index([]Verb{Triggers, Runs, Tells, Publishes, Notifies, Sets, Reads}, v)
}
