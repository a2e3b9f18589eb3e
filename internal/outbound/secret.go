package outbound

import (
	"fmt"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/jet-bus/jet-bus/internal/proc"
)

// CheckFile says what is wrong with the name of a file of a secret that content gives
// under a key; none is fine.
func CheckFile(key, file string) error {
	if file == "" || filepath.IsAbs(file) {
		return nil
	}
	return fmt.Errorf("%s must be an absolute path on the machine of jet-bus, not %q: content is handed to runners", key, file)
}

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
