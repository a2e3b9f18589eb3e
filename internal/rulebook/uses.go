package rulebook

// uses says what a condition looks at.
type uses struct {
	event, facts bool
	others       bool // events that other conditions matched
	paths        []*path
}

func usesOf(n node) uses {
	var u uses
	walk(n, func(n node) {
		p, ok := n.(*path)
		if !ok {
			return
		}
		u.paths = append(u.paths, p)
		switch p.root {
		case "event":
			u.event = true
		case "events":
			u.others = true
		case "fact", "facts":
			u.facts = true
		}
	})
	return u
}

func walk(n node, visit func(node)) {
	visit(n)
	switch n := n.(type) {
	case *listNode:
		for _, x := range n.items {
			walk(x, visit)
		}
	case *binary:
		walk(n.l, visit)
		walk(n.r, visit)
	case *notNode:
		walk(n.x, visit)
	case *test:
		walk(n.x, visit)
		if n.value != nil {
			walk(n.value, visit)
		}
	case *filter:
		walk(n.x, visit)
		for _, x := range n.args {
			walk(x, visit)
		}
	}
}
