// Package lazyregexp holds back the compiling of regular expressions until somebody
// asks for them. A command knows far more of them than one call of it meets:
// compiled when the program starts, they are half of what that takes.
package lazyregexp

import (
	"regexp"
	"sync"
)

// New returns a function that gives expr compiled. It is compiled once, at the
// first call, which panics if expr is no regular expression; test/arch compiles
// every expression in the tree. The function may be called by several goroutines
// at a time.
func New(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}
