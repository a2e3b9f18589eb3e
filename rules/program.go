package rules

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/checker"
	"github.com/expr-lang/expr/compiler"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"

	"github.com/jet-bus/jet-bus/events"
)

const (
	// maxNodes bounds the size of one expression.
	maxNodes = 1000
	// maxSource bounds the length of its text, in bytes.
	maxSource = 16 << 10
	// maxMemory bounds the list elements one evaluation makes.
	maxMemory = 1_000_000
)

// program is one compiled expression.
type program struct {
	vm *vm.Program
}

// exprError is a fault in an expression; at counts runes from its beginning.
type exprError struct {
	at  int
	msg string
}

func (e *exprError) Error() string { return e.msg }

// language compiles expressions. It is for one goroutine.
type language struct {
	config *conf.Config
}

func newLanguage() *language { return &language{config: newConfig()} }

// compile returns the program for an expression, which must be bool if asked.
func (l *language) compile(src string, wantBool bool) (*program, error) {
	config := l.config
	config.Expect, config.ExpectAny = reflect.Invalid, true
	if wantBool {
		config.Expect = reflect.Bool
	}
	tree, err := l.parse(src)
	if err != nil {
		return nil, err
	}
	// A first check types the tree as the author wrote it; the second one types
	// what was put in its place.
	c := new(checker.Checker)
	if _, err := c.PatchAndCheck(tree, config); err != nil {
		return nil, toExprError(err)
	}
	rewrite(&tree.Node)
	if _, err := c.Check(tree, config); err != nil {
		return nil, toExprError(err)
	}
	// The cast that Expect brings takes nil only; run judges the result itself.
	config.Expect = reflect.Invalid
	p, err := compiler.Compile(tree, config)
	if err != nil {
		return nil, toExprError(err)
	}
	return &program{vm: p}, nil
}

// parse parses an expression and refuses what the rule language leaves out.
func (l *language) parse(src string) (*parser.Tree, error) {
	if strings.TrimSpace(src) == "" {
		return nil, &exprError{msg: "the expression is empty"}
	}
	if len(src) > maxSource {
		return nil, &exprError{msg: "the expression is longer than 16 KiB"}
	}
	tree, err := parser.ParseWithConfig(src, l.config)
	if err != nil {
		return nil, toExprError(err)
	}
	v := &validator{paths: map[ast.Node]bool{}}
	ast.Walk(&tree.Node, v)
	if err := v.result(); err != nil {
		return nil, err
	}
	return tree, nil
}

func toExprError(err error) error {
	fe, ok := errors.AsType[*file.Error](err)
	if !ok {
		msg, _, _ := strings.Cut(err.Error(), "\n")
		return &exprError{msg: plain(msg)}
	}
	return &exprError{at: fe.From, msg: plain(fe.Message)}
}

var conversion = regexp.MustCompile(`^interface conversion: interface \{\} is (\S+), not (\S+)$`)

// plain says what a fault is in the words of rule files.
func plain(msg string) string {
	if m := conversion.FindStringSubmatch(msg); m != nil {
		return fmt.Sprintf("a value is %s, not %s", m[1], m[2])
	}
	if strings.HasPrefix(msg, "reflect.Value.MapIndex") {
		return "the keys of a mapping are text"
	}
	return strings.NewReplacer(
		"*rules.view", "event",
		"*semver.Version", "version",
		"interface {}", "any",
		"expected bool, but got ", "must be true or false, not ",
		"unexpected token EOF", "unexpected end of the expression",
	).Replace(msg)
}

// environment is what a program runs against.
type environment struct {
	Event *view `expr:"event"`
	Run   *run  `expr:"__run"`
}

// run holds what one run of a program uses up and, if asked, what it looked at.
type run struct {
	steps  int
	record bool
	seen   []Value
}

const (
	// maxSteps bounds the work of one run: a predicate call is a step, and so are
	// stepBytes of text made, and readBytes of text read from the event.
	maxSteps  = 100_000
	stepBytes = 64
	readBytes = 4096
	maxSeen   = 16
)

func (r *run) charge(steps int) error {
	if r.steps += steps; r.steps > maxSteps {
		return errors.New("the expression takes too much work for this event")
	}
	return nil
}

func (r *run) saw(v Value) {
	if !r.record || len(r.seen) >= maxSeen {
		return
	}
	for _, s := range r.seen {
		if s.Path == v.Path {
			return
		}
	}
	r.seen = append(r.seen, v)
}

// missingError reports a path that is not in the event.
type missingError struct{ path string }

func (e *missingError) Error() string { return e.path + " is not in the event" }

// evaluation judges rules about one event. It is for one goroutine.
type evaluation struct {
	env environment
	vm  vm.VM
}

func newEvaluation(e events.Event) *evaluation {
	ev := &evaluation{env: environment{Event: newView(e), Run: new(run)}}
	ev.vm.MemoryBudget = maxMemory
	return ev
}

func (ev *evaluation) run(p *program) (any, error) {
	ev.env.Run.steps = 0
	v, err := ev.vm.Run(p.vm, ev.env)
	if err != nil {
		if m, ok := errors.AsType[*missingError](err); ok {
			return nil, m
		}
		return nil, toExprError(err)
	}
	return v, nil
}

// truth runs a program that must give true or false; nil counts as false.
func (ev *evaluation) truth(p *program) (bool, error) {
	v, err := ev.run(p)
	if err != nil {
		return false, err
	}
	switch v := v.(type) {
	case bool:
		return v, nil
	case nil:
		return false, nil
	default:
		return false, fmt.Errorf("the clause is %s, not true or false", kindOf(v))
	}
}

func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "true or false"
	case string:
		return "text"
	case int64, int, float64:
		return "a number"
	case map[string]any:
		return "a mapping"
	case []any:
		return "a list"
	default:
		return fmt.Sprintf("a %T", v)
	}
}
