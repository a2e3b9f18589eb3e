package rulegraph

import (
	"fmt"
	"strconv"
	"strings"
)

// Text returns the graph for a terminal: rule by rule, what leads to it and what it
// leads to, and the loops.
func (g *Graph) Text() string {
	var b strings.Builder
	for _, n := range g.Nodes {
		if n.Kind != KindRule {
			continue
		}
		b.WriteString(n.Name)
		if n.Off != "" {
			b.WriteString(" (" + n.Off + ")")
		}
		b.WriteString("\n")
		for _, e := range g.Edges {
			if e.To != n || e.derived {
				continue
			}
			word := "on"
			if e.Verb == Reads {
				word = "reads the fact"
			}
			fmt.Fprintf(&b, "  %s %s%s\n", word, e.From.Name, mark(e))
		}
		for _, e := range g.sorted(n) {
			g.does(&b, "  ", e)
		}
	}
	if len(g.Loops) > 0 {
		b.WriteString("loops\n")
	}
	for _, l := range g.Loops {
		b.WriteString("  " + l.String() + "\n")
	}
	return b.String()
}

// does writes what a rule, or a playbook, does, and where an event of it leads.
func (g *Graph) does(b *strings.Builder, indent string, e *Edge) {
	word := string(e.Verb)
	if e.Verb == Sets {
		word = "sets the fact"
	}
	fmt.Fprintf(b, "%s%s %s%s\n", indent, word, e.To.Name, mark(e))
	for _, on := range g.sorted(e.To) {
		if on.Verb == Triggers || on.Verb == Reads {
			fmt.Fprintf(b, "%s  -> %s%s\n", indent, on.To.Name, mark(on))
		} else {
			g.does(b, indent+"  ", on)
		}
	}
}

func mark(e *Edge) string {
	if e.Loop {
		return "  (loop)"
	}
	return ""
}

// DOT returns the graph in the language of Graphviz.
func (g *Graph) DOT() string {
	shapes := map[Kind]string{
		KindEvent: "shape=ellipse", KindRule: "shape=box, style=rounded", KindPlaybook: "shape=note",
		KindTarget: "shape=cds", KindFact: "shape=cylinder",
	}
	var b strings.Builder
	b.WriteString("digraph rules {\n  rankdir=LR;\n")
	ids := map[*Node]string{}
	for i, n := range g.Nodes {
		ids[n] = "n" + strconv.Itoa(i)
		fmt.Fprintf(&b, "  %s [label=%s, %s];\n", ids[n], dotText(label(n)), shapes[n.Kind])
	}
	for _, e := range g.Edges {
		var with []string
		if e.Loop {
			with = append(with, "color=red", "penwidth=2")
		}
		if e.Verb == Sets || e.Verb == Reads || e.From.Off != "" || e.To.Off != "" {
			with = append(with, "style=dashed")
		}
		fmt.Fprintf(&b, "  %s -> %s", ids[e.From], ids[e.To])
		if len(with) > 0 {
			fmt.Fprintf(&b, " [%s]", strings.Join(with, ", "))
		}
		b.WriteString(";\n")
	}
	return b.String() + "}\n"
}

// Mermaid returns the graph as a flowchart of Mermaid, which many forges draw.
func (g *Graph) Mermaid() string {
	open := map[Kind]string{KindEvent: "([", KindRule: "[", KindPlaybook: "[[", KindTarget: ">", KindFact: "[("}
	closing := map[Kind]string{KindEvent: "])", KindRule: "]", KindPlaybook: "]]", KindTarget: "]", KindFact: ")]"}
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	ids := map[*Node]string{}
	for i, n := range g.Nodes {
		ids[n] = "n" + strconv.Itoa(i)
		fmt.Fprintf(&b, "  %s%s%s%s\n", ids[n], open[n.Kind], mermaidText(label(n)), closing[n.Kind])
	}
	var loops []string
	for i, e := range g.Edges {
		arrow := "-->"
		if e.Verb == Sets || e.Verb == Reads || e.From.Off != "" || e.To.Off != "" {
			arrow = "-.->"
		}
		if e.Loop {
			loops = append(loops, strconv.Itoa(i))
		}
		fmt.Fprintf(&b, "  %s %s %s\n", ids[e.From], arrow, ids[e.To])
	}
	if len(loops) > 0 {
		fmt.Fprintf(&b, "  linkStyle %s stroke:red,stroke-width:3px\n", strings.Join(loops, ","))
	}
	return b.String()
}

func label(n *Node) string {
	if n.Off != "" {
		return n.Name + " (" + n.Off + ")"
	}
	return n.Name
}

// dotText quotes text for Graphviz, where only the quote and the backslash matter.
func dotText(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// mermaidText quotes text for Mermaid, which takes entities.
func mermaidText(s string) string {
	return `"` + strings.NewReplacer("&", "#amp;", `"`, "#quot;", "<", "#lt;", ">", "#gt;", "#", "#35;").Replace(s) + `"`
}
