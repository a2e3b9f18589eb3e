package rules_test

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/jet-bus/jet-bus/rules"
)

// TestDocs loads the rules that the documentation shows.
func TestDocs(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"../README.md", "../docs/rules.md"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, block := range strings.Split(string(text), "```yaml\n")[1:] {
			block, _, _ = strings.Cut(block, "```\n")
			if !strings.HasPrefix(block, "rules:") && !strings.Contains(block, "\nrules:") {
				continue
			}
			found++
			if _, err := rules.Load(fstest.MapFS{"r.yml": {Data: []byte(block)}}, "."); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if found == 0 {
			t.Errorf("%s shows no rules", name)
		}
	}
}
