package strictyaml

import (
	"fmt"
	"time"

	"github.com/jet-bus/jet-bus/internal/lazyregexp"
)

// maxName is how long a name may be, in bytes.
const maxName = 64

var name = lazyregexp.New(`^[a-z0-9][a-z0-9_-]*$`)

// CheckName says what is wrong with the name that people give to something, such as a
// source; kind is what it is.
func CheckName(kind, s string) error {
	if len(s) > maxName || !name().MatchString(s) {
		return fmt.Errorf("%s %q: a name has lower-case letters, digits, _ and -, at most %d of them", kind, s, maxName)
	}
	return nil
}

// Span returns the time that is given under a key, or otherwise if that is nil, and checks
// that it is neither shorter than least nor longer than most.
func Span(key string, given *time.Duration, least, most, otherwise time.Duration) (time.Duration, error) {
	if given == nil {
		return otherwise, nil
	}
	if *given < least || *given > most {
		return 0, fmt.Errorf("%s must be %s to %s, not %s", key, least, most, *given)
	}
	return *given, nil
}
