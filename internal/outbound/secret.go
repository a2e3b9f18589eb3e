package outbound

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/jet-bus/jet-bus/internal/proc"
)

// Secret reads a secret of one line from a file. It is to be read for each request:
// who changes it need not tell jet-bus.
func Secret(file string) (string, error) {
	data, err := proc.ReadSecret(file)
	if err != nil {
		return "", err
	}
	s := strings.TrimSpace(string(data))
	switch {
	case s == "":
		return "", fmt.Errorf("secret file %s is empty", file)
	case strings.ContainsFunc(s, unicode.IsControl):
		return "", fmt.Errorf("secret file %s has more than one line", file)
	}
	return s, nil
}
