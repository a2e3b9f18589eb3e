package arch

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The modules that go.mod requires directly are those of the table, and ARCHITECTURE.md names each.
// That go.mod itself agrees with the code is checked by go mod tidy -diff in test/run.
func TestDependencies(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "go", "mod", "edit", "-json")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("reading go.mod: %v", err)
	}
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		t.Fatalf("reading go.mod: %v", err)
	}
	text, err := os.ReadFile(filepath.Join(root, "ARCHITECTURE.md"))
	if err != nil {
		t.Fatalf("reading ARCHITECTURE.md: %v", err)
	}

	required := map[string]bool{}
	for _, r := range mod.Require {
		if r.Indirect {
			continue
		}
		required[r.Path] = true
		if dependencies[r.Path] == "" {
			t.Errorf("go.mod requires %s: say what for in the table of test/arch/imports.go", r.Path)
		}
		if !strings.Contains(string(text), strings.TrimPrefix(r.Path, "github.com/")) {
			t.Errorf("ARCHITECTURE.md does not name %s", r.Path)
		}
	}
	for path := range dependencies {
		if !required[path] {
			t.Errorf("the table of test/arch/imports.go lists %s, which go.mod does not require", path)
		}
	}
}
