package events

// RulesRefused is the data of a [TypeRulesRefused] event.
type RulesRefused struct {
	// By names the jet-bus, empty if it is alone on its bus.
	By string `json:"by,omitempty"`
	// Content tells what was refused from other content: a commit, a bundle's digest, or a digest of what is wrong
	// where no bundle could be made.
	Content string `json:"content"`
	// Revision is the commit, empty for content of a directory. From is the directory or the repository.
	Revision string `json:"revision,omitempty"`
	From     string `json:"from,omitempty"`
	// Bundle is the digest of the content, empty if it could not be bundled.
	Bundle string `json:"bundle,omitempty"`
	// Reason is the first fault, and how many more there are, in one line.
	Reason string `json:"reason"`
	// Faults are all of them, one a line, with their places; More is how many did not fit.
	Faults []string `json:"faults"`
	More   int      `json:"more,omitempty"`
	// InForce is the digest of the rule set that stays in force, empty if there is none.
	InForce string `json:"in_force,omitempty"`
}
