// Package rules tests the rule language as a whole.
//
// Golden cases (testdata/*.txtar) each hold a rule file, the events that come, and
// what every rule has to say about each of them. UPDATE=1 writes what the rules say
// now; read the difference before you keep it. The walk through docs/rules.md loads
// every rule that the page shows, and the tests with a real jet-bus kill it in the
// middle of every kind of window.
package rules
