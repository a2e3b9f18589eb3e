package rulecase

import (
	"time"

	"github.com/jet-bus/jet-bus/rules"
)

// phrase says an outcome as what a rule did.
func phrase(o rules.Outcome) string {
	switch o {
	case rules.Fired:
		return "fired"
	case rules.Failed:
		return "failed"
	case rules.Waiting:
		return "is waiting"
	case rules.Expired:
		return "let a window expire"
	case rules.WindowMissed:
		return "missed a window"
	default:
		return "is " + o.String()
	}
}

// infinitive is phrase after "to".
func infinitive(o rules.Outcome) string {
	switch o {
	case rules.Fired:
		return "fire, and did not"
	case rules.Failed:
		return "fail, and did not"
	case rules.Waiting:
		return "be waiting, and is not"
	case rules.Expired:
		return "let a window expire, and did not"
	case rules.WindowMissed:
		return "miss a window, and did not"
	default:
		return "be " + o.String() + ", and is not"
	}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
