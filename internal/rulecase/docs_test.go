package rulecase_test

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

// TestDocs plays the cases that the documentation shows, for the rules above them.
func TestDocs(t *testing.T) {
	t.Parallel()
	const name = "../../docs/rules-tools.md"
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	played := 0
	files := fstest.MapFS{}
	for _, block := range strings.Split(string(text), "```yaml\n")[1:] {
		block, _, _ = strings.Cut(block, "```\n")
		switch {
		case strings.HasPrefix(block, "rules:"):
			files["rules/a.yml"] = &fstest.MapFile{Data: []byte(block)}
		case strings.HasPrefix(block, "cases:"):
			files["rules/a_test.yml"] = &fstest.MapFile{Data: []byte(block)}
			got := play(t, files)
			if played += strings.Count(got, "ok "); strings.Contains(got, "FAIL") {
				t.Errorf("%s: %s", name, got)
			}
		}
	}
	if played == 0 {
		t.Errorf("%s shows no cases", name)
	}
}
