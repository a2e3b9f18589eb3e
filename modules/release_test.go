package modules

import (
	"strings"
	"testing"
)

func TestListedSum(t *testing.T) {
	t.Parallel()
	sum := strings.Repeat("ab", 32)
	for text, ok := range map[string]bool{
		sum + "  file\n" + strings.Repeat("00", 32) + "  other\n":        true,
		strings.Repeat("00", 32) + " *other\r\n" + sum + " *./dist/file": true,
		"SHA256 (file) = " + sum:    true,
		strings.ToUpper(sum) + "\n": true,
		sum + "  file2\n":           false,
		"ab  file\n":                false,
		"":                          false,
	} {
		got, err := listedSum(text, "file")
		if (err == nil) != ok || ok && got.String() != "sha256:"+sum {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}
