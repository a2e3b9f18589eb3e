package rules

import (
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser/lexer"
)

// spans finds the source text of parts of an expression. The parser keeps of
// every node only where its name or operator stands.
type spans struct {
	whole  string
	src    []rune
	tokens []lexer.Token
}

func newSpans(src string) (*spans, error) {
	tokens, err := lexer.Lex(file.NewSource(src))
	if err != nil {
		return nil, toExprError(err)
	}
	return &spans{whole: src, src: []rune(src), tokens: tokens}, nil
}

// text returns the source of a node as the parser made it, and the rune it
// begins at.
func (s *spans) text(n ast.Node) (string, int) {
	e := &extent{from: len(s.src)}
	ast.Walk(&n, e)
	first, last := -1, -1
	for i, t := range s.tokens {
		if t.Kind != lexer.EOF && t.From >= e.from && t.To <= e.to {
			if first < 0 {
				first = i
			}
			last = i
		}
	}
	if first < 0 {
		return string(s.src), 0
	}
	first, last = s.balance(first, last)
	from, to := s.tokens[first].From, s.tokens[last].To
	if len(s.whole) == len(s.src) {
		return s.whole[from:to], from // no copy: it is kept for as long as the rule is
	}
	return string(s.src[from:to]), from
}

// balance widens a range of tokens until its brackets match.
func (s *spans) balance(first, last int) (int, int) {
	open, depth := 0, 0 // brackets missing on the left, brackets left open
	for i := first; i <= last; i++ {
		switch {
		case s.opens(i):
			depth++
		case s.closes(i) && depth > 0:
			depth--
		case s.closes(i):
			open++
		}
	}
	for open > 0 && first > 0 {
		first--
		switch {
		case s.closes(first):
			open++
		case s.opens(first):
			open--
		}
	}
	// No node has the place of an if.
	if first > 0 && s.tokens[first-1].Is(lexer.Operator, "if") {
		first--
	}
	// A call without arguments ends before its brackets.
	if s.tokens[last].Kind == lexer.Identifier && last+1 < len(s.tokens) && s.tokens[last+1].Is(lexer.Bracket, "(") {
		last++
		depth++
	}
	for depth > 0 && last+1 < len(s.tokens) {
		last++
		switch {
		case s.opens(last):
			depth++
		case s.closes(last):
			depth--
		}
	}
	return first, last
}

func (s *spans) opens(i int) bool  { return s.tokens[i].Is(lexer.Bracket, "(", "[", "{") }
func (s *spans) closes(i int) bool { return s.tokens[i].Is(lexer.Bracket, ")", "]", "}") }

// extent is the range of runes that the names and operators of a tree cover.
type extent struct{ from, to int }

// Visit implements [ast.Visitor].
func (e *extent) Visit(node *ast.Node) {
	loc := (*node).Location()
	if _, ok := (*node).(*ast.ConditionalNode); ok || loc.To == 0 {
		return // the parser gives these the place of the token after them
	}
	e.from = min(e.from, loc.From)
	e.to = max(e.to, loc.To)
}
