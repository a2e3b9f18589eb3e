package rules

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/checker"
	"github.com/expr-lang/expr/compiler"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

const (
	// maxNodes bounds the size of one expression.
	maxNodes = 1000
	// maxSource bounds the length of its text, in bytes.
	maxSource = 16 << 10
	// maxMemory bounds the list elements one evaluation makes.
	maxMemory = 1_000_000
)

// program is one compiled expression. Those that stand alone in a file know where
// and what they are called there.
type program struct {
	vm *vm.Program
	// short says the same as vm where that is simple enough; nil where it is not.
	short *shortcut
	pos   strictyaml.Pos
	what  string
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
	// scope is what the expressions that are compiled next may name.
	scope *scope
}

func newLanguage() *language {
	return &language{config: newConfig(), scope: newScope("in a condition", nil, new(uses))}
}

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
	short := shortcutOf(tree.Node)
	p, err := compiler.Compile(tree, config)
	if err != nil {
		return nil, toExprError(err)
	}
	// A program keeps its tree, which only a debugger would look at, and which is
	// larger than all the rest.
	reflect.ValueOf(p.Node()).Elem().SetZero()
	p.Bytecode, p.Arguments, p.Constants = tight(p.Bytecode), tight(p.Arguments), tight(p.Constants)
	return &program{vm: p, short: short}, nil
}

// tight returns a list without room to grow.
func tight[T any](list []T) []T { return slices.Clip(append([]T(nil), list...)) }

// parse parses an expression and refuses what the rule language leaves out.
func (l *language) parse(src string) (*parser.Tree, error) {
	if strings.TrimSpace(src) == "" {
		return nil, &exprError{msg: "the expression is empty"}
	}
	if strings.HasPrefix(strings.TrimSpace(src), exprOpen) {
		return nil, &exprError{msg: "this is an expression as it stands, without ${{ }}"}
	}
	if strings.HasPrefix(strings.TrimSpace(src), "{{") {
		return nil, &exprError{msg: "this is an expression as it stands, without {{ }}"}
	}
	if len(src) > maxSource {
		return nil, &exprError{msg: "the expression is longer than 16 KiB"}
	}
	src, err := nameMatches(src)
	if err != nil {
		return nil, err
	}
	tree, err := parser.ParseWithConfig(src, l.config)
	if err != nil {
		return nil, toExprError(err)
	}
	v := &validator{scope: l.scope, within: map[ast.Node]bool{}}
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

// plain says what a fault is in the words of rule files.
func plain(msg string) string {
	if s, known := reword(msg); known {
		return s
	}
	if strings.HasPrefix(msg, "reflect.Value.MapIndex") {
		return "the keys of a mapping are text"
	}
	return strings.NewReplacer(
		"[]*rules.view", "list of events",
		"*rules.view", "event",
		"*rules.span", "window",
		"rules.span", "window",
		matchesName, "matches",
		"*semver.Version", "version",
		"interface {}", "any",
		"unexpected token EOF", "unexpected end of the expression",
	).Replace(msg)
}

// environment is what a program runs against.
type environment struct {
	// Event is the event that is judged; not there where a timer decides.
	Event *view `expr:"event"`
	// Events are the events in the window, by clause.
	Events map[string]*view `expr:"events"`
	// Key is what the window is told apart by, Clause the name of the clause that
	// the event met, Missing the names of those that were not met.
	Key     string   `expr:"key"`
	Clause  string   `expr:"clause"`
	Missing []string `expr:"missing"`
	Window  *span    `expr:"window"`
	// Matches are the events in a throttle's window, the oldest first.
	Matches []*view `expr:"__match"`
	// Facts are what rules have set, Vars what the rule's file says.
	Facts map[string]any `expr:"kv"`
	Vars  map[string]any `expr:"vars"`
	// Now is when the event, or what else decides, was stored.
	Now time.Time `expr:"now"`
	Run *run      `expr:"__run"`
}

// span is a window as expressions see it.
type span struct {
	Count int       `expr:"count"`
	Began time.Time `expr:"began"`
	Ends  time.Time `expr:"ends"`
}

func (s *span) member(name string) (any, bool, error) {
	switch {
	case s == nil:
		return nil, false, nil
	case name == "count":
		return s.Count, true, nil
	case name == "began":
		return s.Began, true, nil
	case name == "ends":
		return s.Ends, true, nil
	default:
		return nil, false, nil
	}
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
	if e, ok := v.Value.(*view); ok && e != nil {
		v.Value = e.settled() // the event of an evaluation is another one next time
	}
	r.seen = append(r.seen, v)
}

// missingError reports a path that is not in the event, or a fact that is not set.
type missingError struct{ path string }

func (e *missingError) Error() string {
	switch root, _, _ := strings.Cut(strings.ReplaceAll(e.path, "[", "."), "."); root {
	case "kv":
		return e.path + " is not set"
	case "vars":
		return e.path + " is not in the vars of the file"
	case "events", "matches":
		if strings.Count(e.path, ".") <= 1 {
			return e.path + " is not there: no such event came"
		}
	}
	return e.path + " is not in the event"
}

// evaluation judges rules about one event. It is for one goroutine.
type evaluation struct {
	env    environment
	vm     vm.VM
	event  *view  // what is judged, nil where a timer decides
	clause string // of the rule that is entered: the first that the event met
	walker walker
	window span // what the expressions see as window
}

func newEvaluation(e events.Event, at time.Time) *evaluation {
	ev := newTimerEvaluation(at)
	ev.event = newView(e)
	ev.env.Event = ev.event
	return ev
}

// again makes ev, which was used before, as good as new; it keeps room that the
// machine has made.
func (ev *evaluation) again(e events.Event, at time.Time) {
	ev.event, ev.clause = ev.event.of(e), ""
	*ev.env.Run = run{}
	ev.env = environment{Event: ev.event, Now: at.UTC(), Run: ev.env.Run}
}

func (ev *evaluation) run(p *program) (any, error) {
	ev.env.Run.steps = 0
	if p.short != nil && !ev.env.Run.record {
		if v, err, ok := p.short.run(ev); ok {
			return v, err
		}
		ev.env.Run.steps = 0
	}
	v, err := ev.vm.Run(p.vm, &ev.env)
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
	case *view:
		return "an event"
	case nil:
		return "null"
	case bool:
		return "true or false"
	case string:
		return "text"
	case int64, int, uint64, float64:
		return "a number"
	case time.Time:
		return "a time"
	case time.Duration:
		return "a duration"
	case *semver.Version:
		return "a version"
	case map[string]any:
		return "a mapping"
	case []any, []string, []int:
		return "a list"
	default:
		return fmt.Sprintf("a %T", v)
	}
}
