// Package rulebook reads rulebooks of ansible-rulebook and writes them as rules of
// jet-bus. [Convert] gives the rules, as YAML with comments, and a [Finding] for
// everything it came across: what was converted, what was converted but means
// something else in some case, and what could not be. Nothing is left out without
// one, and the last two stand in the rules as comments too.
//
// The pieces: token.go, parse.go and istest.go read conditions and the expressions
// of Jinja templates into one tree (tree.go); spell.go, spellis.go and filter.go
// write that tree in the language of rules; resolve.go says what a name is there.
// The other files go through a rulebook from its rule sets (ruleset.go) down to
// conditions, throttles and actions.
//
// The package knows what a rule file looks like, but compiles none: who wants to
// know that the outcome is sound loads it with package rules.
package rulebook
