package rulebook

// The nodes of a condition. at counts the runes before one in its text.
type (
	node interface{ pos() int }

	// literal is text, int64, float64, bool or nil.
	literal struct {
		value any
		at    int
	}
	listNode struct {
		items []node
		at    int
	}
	// path is a value below a name, such as event.alert.labels["host"].
	path struct {
		root  string
		steps []step
		at    int
	}
	// binary has the operator as rulebooks spell it: and, or, ==, in, not in and so on.
	binary struct {
		op   string
		l, r node
		at   int
	}
	notNode struct {
		x  node
		at int
	}
	// test is "x is [not] name(args)"; key is that of selectattr, op the operator
	// of select and selectattr.
	test struct {
		x       node
		negated bool
		name    string // defined, match, search, regex, select, selectattr
		pattern string
		flags   string // of the pattern
		key, op string
		value   node
		at      int
	}
	// filter is "x | name(args)"; only templates have them.
	filter struct {
		x    node
		name string
		args []node
		at   int
	}
)

// step is a name, or an index if name is empty.
type step struct {
	name  string
	index int64
}

func (n *literal) pos() int  { return n.at }
func (n *listNode) pos() int { return n.at }
func (n *path) pos() int     { return n.at }
func (n *binary) pos() int   { return n.at }
func (n *notNode) pos() int  { return n.at }
func (n *test) pos() int     { return n.at }
func (n *filter) pos() int   { return n.at }

// condition is one condition of a rule.
type condition struct {
	alias string // what stands before <<, without "events." or "facts."
	fact  bool   // the alias is one of a fact
	root  node
	// mixed is true if and and or stand beside each other without parentheses.
	mixed bool
}
