package webhook

import (
	"fmt"
	"net/http"
)

// maxDepth is how many lists and objects of a body may be within each other. No sender comes
// near it. What is stored stands within others when it is shown, and no reader of JSON takes
// any depth: what was taken in must not be what nobody can read.
const maxDepth = 500

// checkDepth refuses a body in JSON that is nested too deep.
func checkDepth(body []byte) error {
	depth, quoted := 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case c == '"':
			quoted = !quoted
		case quoted && c == '\\':
			i++ // whatever is escaped
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return refusalError{http.StatusBadRequest, fmt.Sprintf("more than %d lists and objects of the body are within each other", maxDepth)}
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return nil
}
