package rules

import (
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser/lexer"
)

// scope is what the expressions at one place of a rule may name, and what they do.
type scope struct {
	place   string   // such as "in a condition"
	names   []string // in the order that messages list them
	clauses []string // what may follow events
	vars    map[string]any
	uses    *uses
}

// newScope returns the scope of expressions about one event.
func newScope(place string, vars map[string]any, u *uses) *scope {
	return &scope{place: place, names: []string{"event", "kv", "vars", "now"}, vars: vars, uses: u}
}

// isName tells whether name is one of the values that expressions are about.
func isName(name string) bool {
	switch name {
	case "event", "events", "key", "clause", "missing", "window", "matches", "kv", "vars", "now":
		return true
	default:
		return false
	}
}

func (s *scope) has(name string) bool { return slices.Contains(s.names, name) }

func (s *scope) list() string {
	last := len(s.names) - 1
	return strings.Join(s.names[:last], ", ") + " and " + s.names[last]
}

// uses is what the expressions of a scope look at.
type uses struct {
	facts bool
	// paths are paths below an event, by what stands before them: "event",
	// "matches" or "events." and a clause.
	paths map[string][]string
}

func (u *uses) add(root string, path []string) {
	if u.paths == nil {
		u.paths = map[string][]string{}
	}
	u.paths[root] = append(u.paths[root], joinPath(path))
}

// asked takes care of an event that an expression only asks for, by has: that
// needs nothing of it.
func (v *validator) asked(n ast.Node) {
	if m, ok := unchained(n).(*ast.MemberNode); ok && isEvent(m) {
		v.members = slices.DeleteFunc(v.members, func(x *ast.MemberNode) bool { return x == m })
	}
}

// note tells the scope what the expression looks at.
func (v *validator) note() {
	for _, m := range v.members {
		if !v.within[m] {
			v.path(m)
		}
	}
	for _, n := range v.names {
		switch {
		case n.Value == "kv":
			v.scope.uses.facts = true
		case n.Value == matchesName && !v.within[n]:
			v.scope.uses.add("matches", nil) // as a list: of whatever is in them
		}
	}
}

// path notes the members that stand in the rule as they are; a member that is
// worked out may be any, so what it is a member of is needed.
func (v *validator) path(m *ast.MemberNode) {
	var path []string
	var n ast.Node = m
	for !isEvent(n) {
		m, ok := n.(*ast.MemberNode)
		if !ok {
			return // not of an event; what is inside is noted by itself
		}
		if s, ok := m.Property.(*ast.StringNode); ok {
			path = append(path, s.Value)
		} else {
			path = path[:0]
		}
		n = unchained(m.Node)
	}
	slices.Reverse(path)
	switch n := n.(type) {
	case *ast.IdentifierNode:
		v.scope.uses.add("event", path)
	case *ast.MemberNode:
		root := "matches"
		if n.Node.(*ast.IdentifierNode).Value == "events" {
			root = "events." + n.Property.(*ast.StringNode).Value
		}
		v.scope.uses.add(root, path)
	}
}

// isEvent tells whether a node stands for a whole event.
func isEvent(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.IdentifierNode:
		return n.Value == "event"
	case *ast.MemberNode:
		id, ok := n.Node.(*ast.IdentifierNode)
		return ok && (id.Value == "events" || id.Value == matchesName)
	default:
		return false
	}
}

func unchained(n ast.Node) ast.Node {
	if c, ok := n.(*ast.ChainNode); ok {
		return c.Node
	}
	return n
}

// matchesName stands for the name matches in what the parser sees: that takes the
// word for the operator. It is as long, so that places stay right.
const matchesName = "__match"

// nameMatches puts matchesName in the place of the word matches wherever a value is
// expected.
func nameMatches(src string) (string, error) {
	if !strings.Contains(src, "match") {
		return src, nil
	}
	tokens, err := lexer.Lex(file.NewSource(src))
	if err != nil {
		return "", toExprError(err)
	}
	runes := []rune(src)
	for i, t := range tokens {
		if t.Is(lexer.Identifier, matchesName) && !afterDot(tokens[:i]) {
			return "", &exprError{at: t.From, msg: "unknown name " + matchesName}
		}
		if t.Is(lexer.Operator, "matches") && beginsValue(tokens[:i]) && !isKey(tokens, i) {
			copy(runes[t.From:t.To], []rune(matchesName))
		}
	}
	return string(runes), nil
}

// isKey tells whether a word is the key of a mapping.
func isKey(tokens []lexer.Token, i int) bool {
	return i > 0 && (tokens[i-1].Is(lexer.Bracket, "{") || tokens[i-1].Is(lexer.Operator, ",")) &&
		tokens[i+1].Is(lexer.Operator, ":")
}

func afterDot(before []lexer.Token) bool {
	return len(before) > 0 && before[len(before)-1].Is(lexer.Operator, ".", "?.")
}

// beginsValue tells whether a value is expected after these tokens.
func beginsValue(before []lexer.Token) bool {
	if len(before) == 0 {
		return true
	}
	rest := len(before) - 1
	switch t := before[rest]; t.Kind {
	case lexer.Operator:
		switch {
		case afterDot(before[:rest]): // a member with such a name
			return false
		case t.Value == "not":
			return beginsValue(before[:rest]) // else it is "a not matches b"
		default:
			return !afterDot(before) && t.Value != "#"
		}
	case lexer.Bracket:
		return t.Is(lexer.Bracket, "(", "[", "{")
	default:
		return false
	}
}
