package deliver

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/jet-bus/jet-bus/rules"
)

// What the documentation shows is valid.
func TestDocs(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/subscriptions.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, part := range strings.Split(string(text), "```yaml\n")[1:] {
		block, _, _ := strings.Cut(part, "```")
		n++
		if strings.HasPrefix(block, "rules:") {
			if _, err := rules.Load(fstest.MapFS{"rules/a.yml": {Data: []byte(block)}}, "rules"); err != nil {
				t.Errorf("%v in\n%s", err, block)
			}
			continue
		}
		s, err := readText(block)
		if err != nil || len(s.Names()) == 0 {
			t.Errorf("%v in\n%s", err, block)
		}
	}
	if n != 3 {
		t.Errorf("%d snippets", n)
	}
}
