package proc

import (
	"fmt"
	"os"
	"strings"
)

// ReadSecret reads a file that only its owner may read, without the end of its last
// line. Its errors name the file, never what is in it.
func ReadSecret(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("read secret: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("secret file %s can be read by others; chmod 600 it", file)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read secret: %w", err)
	}
	return []byte(strings.TrimRight(string(data), "\r\n")), nil
}
