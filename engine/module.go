package engine

import (
	"context"
	"fmt"
	"strings"
)

// Need says what a module found that it would have to do.
type Need int

// The answers of a module's query. Matched means that the host is already as
// asked. Passive is for modules that change nothing by nature (echo, stat,
// assert): they run in check mode too and count as no change.
const (
	Matched Need = iota
	Create
	Modify
	Remove
	Execute
	Passive
)

// Plan is the answer of a query.
type Plan struct {
	Need Need
	// Fields names what differs, for Modify: Content, Mode, Owner, Group, …
	Fields []string
	// Diffs are the contents before and after, for people who ask to see them
	// ([Host.Diff]); modules that change the content of files fill them in then.
	Diffs []Diff
}

// Diff is the content of one file before and after a task. The engine makes a
// unified diff of it, with secrets hidden.
type Diff struct {
	// Path is the file on the host.
	Path string
	// Before is empty for a new file, After for one that is removed.
	Before, After string
}

// Result is what a module's Apply did. The zero Result means that the plan was
// carried out as planned.
type Result struct {
	// Passive turns an Execute into "nothing changed" (changed_when: false).
	Passive bool
	// Message is text for people: what echo prints, or why there is nothing.
	Message string
	// Data is what the task can be asked about afterwards: the members of the
	// variable that register stores, and what changed_when and failed_when see,
	// besides changed, status and msg, which every task has. Commands have rc,
	// out and err.
	Data map[string]any
	// Command holds what a command left behind, for modules that run one the
	// user wrote. It is shown when the task fails.
	Command *CommandResult
}

// CommandResult is the outcome of a command that the user wrote.
type CommandResult struct {
	Cmd    string `json:"cmd"`
	RC     int    `json:"rc"`
	Stdout string `json:"stdout,omitempty"`
	Stderr string `json:"stderr,omitempty"`
}

// Module is one task's module with its parameters filled in. A fresh value is
// made for every task, host and item, so it needs no locks and may keep what
// Query found for Apply.
//
// A module fails by returning an error; a [*CommandError] carries the command's
// output along. Errors say what was being done, and to what.
type Module interface {
	// Query looks at the host and changes nothing. In check mode it is all that
	// runs (unless it answers Passive).
	Query(ctx context.Context, h *Host) (Plan, error)
	// Apply carries out the plan. It is not called for Matched.
	Apply(ctx context.Context, h *Host, p Plan) (Result, error)
}

// Validator is implemented by modules that check their parameters beyond types:
// parameters that exclude each other, say. It is called after decoding.
type Validator interface{ Validate() error }

// Offline is implemented by modules that may need no connection to the host. When
// Offline answers true, the host is not dialled for the task and [Host.Conn] is
// nil. It is asked once the parameters are filled in.
type Offline interface{ Offline() bool }

// Merger is implemented by modules that can do at once what several items of a task
// ask for, such as to install packages. The engine asks where nothing else of the
// task depends on the item, and where nobody wants a result for each.
type Merger interface {
	// Merge makes the module do what items, other values of the same type with
	// their parameters filled in, ask for besides its own. It reports false, and
	// leaves the module as it is, if their parameters do not go together. It may
	// keep none of the items.
	Merge(items []Module) bool
}

// CommandError is a failed command with what it printed.
type CommandError struct {
	CommandResult
	// Why says what counts as the failure; empty means the exit status.
	Why string
}

func (e *CommandError) Error() string {
	why := e.Why
	if why == "" {
		why = fmt.Sprintf("exit status %d", e.RC)
	}
	if s := strings.TrimSpace(e.Stderr); s != "" {
		return why + ": " + s
	}
	return why
}

// Spec describes a module to the registry.
type Spec struct {
	// Name is the YAML tag without the exclamation mark.
	Name string
	// Doc is one sentence on what the module ensures.
	Doc string
	// New returns a pointer to a fresh parameter struct.
	New func() Module
}

// Of makes a [Spec] for the module type T, whose pointer is the [Module].
//
// The fields of T with a yaml tag are the module's parameters, decoded as
// strictyaml decodes (after templates in the scalars were rendered), plus:
//
//   - a field tagged `yaml:"name" jet:"raw"` keeps its scalars unrendered;
//   - a field of type [Expr] keeps the text for evaluation by the module;
//   - a field of type [Mode] takes 0o755.
func Of[T any, P interface {
	*T
	Module
}](name, doc string) Spec {
	return Spec{Name: name, Doc: doc, New: func() Module { return P(new(T)) }}
}
