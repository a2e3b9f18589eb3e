package rulegraph

import (
	"slices"
	"strings"

	"github.com/jet-bus/jet-bus/internal/lazyregexp"
	"github.com/jet-bus/jet-bus/rules"
)

// decisive are the source texts of what decides whether a rule fires.
func decisive(r *rules.Rule) []string {
	var out []string
	for _, c := range r.Clauses {
		out = append(out, c.Condition, c.Key)
	}
	if w := r.Window; w != nil {
		out = append(out, w.Key, w.Where)
	}
	if t := r.Throttle; t != nil {
		out = append(out, t.Key, t.Unique)
	}
	return out
}

// texts are the source texts of all expressions of a rule.
func texts(r *rules.Rule) []string {
	out := decisive(r)
	for _, text := range actions(r) {
		for _, m := range inside().FindAllStringSubmatch(text, -1) {
			out = append(out, m[1])
		}
	}
	return out
}

// inside finds the expressions in a value.
var inside = lazyregexp.New(`(?s)\$\{\{(.*?)\}\}`)

// actions are the source texts of the values of what a rule does.
func actions(r *rules.Rule) []string {
	var out []string
	if r.Run != nil {
		out = append(out, r.Run.LimitText(), r.Run.VarsText())
		if r.Run.Concurrency != nil {
			out = append(out, r.Run.Concurrency.Key)
		}
	}
	for _, p := range r.Publish {
		out = append(out, p.SubjectText(), p.DataText())
	}
	for _, s := range r.Set {
		out = append(out, s.KeyText(), s.ValueText())
	}
	for _, n := range r.Notify {
		out = append(out, n.SubjectText(), n.BodyText())
	}
	return out
}

// The words of an expression that this package looks for. They are searched in
// source texts, without those parts that are quoted.
var pathPattern = lazyregexp.New(`\bevents?(?:\.[a-z][a-z0-9_]*)?\.(?:subject|(?:data|ext)(?:\??\.[A-Za-z_][A-Za-z0-9_]*)+)`)

// jobsOf returns the name of the rule of whose jobs a condition asks, if it is only
// met by those: one of several demands, none of which is a choice.
func jobsOf(condition string) (rule string, only bool) {
	m := ruleAsked().FindStringSubmatch(condition)
	if m == nil || choice().MatchString(unquoted(condition)) {
		return "", false
	}
	return m[1] + m[2], true
}

// ruleAsked finds the rule whose jobs a condition asks for first of all. Choice finds
// what may let it be met by others all the same: or, a choice, a pipe.
var (
	ruleAsked = lazyregexp.New(`^\s*event\.data\.rule\s*==\s*(?:"([^"\\]*)"|'([^'\\]*)')\s*(?:&&|and\b|$)`)
	choice    = lazyregexp.New(`\||\bor\b|\?`)
)

// quotedFact finds kv["a"], where the quotes matter; plainFact finds kv.a, and a key
// that is worked out.
var quotedFact = lazyregexp.New(`\bkv\[\s*(?:"([^"]*)"|'([^']*)')\s*\]`)

var plainFact = lazyregexp.New(`\bkv(?:\??\.([A-Za-z_][A-Za-z0-9_]*)|\[\s*[^"'\s])`)

// readPaths returns the fields of events that decide about a rule, and that it does
// not itself ask for with has, ?? or ?. .
func readPaths(r *rules.Rule) []string {
	var out []string
	p := pathPattern()
	for _, text := range decisive(r) {
		text = unquoted(text)
		for _, at := range p.FindAllStringIndex(text, -1) {
			path := text[at[0]:at[1]]
			after := strings.TrimLeft(text[at[1]:], " \t\n)")
			if strings.Contains(path, "?") || strings.HasPrefix(after, "?") || strings.HasSuffix(strings.TrimRight(text[:at[0]], " \t\n"), "has(") {
				continue
			}
			out = append(out, path)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// anyFact stands for a fact whose key is worked out.
const anyFact = "*"

// readFacts returns the keys of the facts that decide about a rule.
func readFacts(r *rules.Rule) []string { return facts(decisive(r)) }

func facts(texts []string) []string {
	var out []string
	quoted, plain := quotedFact(), plainFact()
	for _, text := range texts {
		for _, m := range quoted.FindAllStringSubmatch(text, -1) {
			out = append(out, m[1]+m[2])
		}
		for _, m := range plain.FindAllStringSubmatch(unquoted(text), -1) {
			if m[1] == "" {
				m[1] = anyFact
			}
			out = append(out, m[1])
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// unquoted takes the quoted parts out of an expression.
func unquoted(text string) string {
	return quotes().ReplaceAllString(text, `""`)
}

var quotes = lazyregexp.New("\"(?:[^\"\\\\]|\\\\.)*\"|'(?:[^'\\\\]|\\\\.)*'|`[^`]*`")
