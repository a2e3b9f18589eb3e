// Package rulegraph tells people what rules are about. [Explain] says of one rule, in
// plain words, what it waits for, what it does then, and what may keep it from that.
// [Build] draws how the rules of a set hang together: which events lead to which
// rules, these to playbooks, events, messages and facts, and events to rules again;
// circles among them are found.
//
// Both look at rule files alone: at no event, and at no bus.
package rulegraph
