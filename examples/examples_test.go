package examples_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jet-bus/jet-bus/examples"
	"github.com/jet-bus/jet-bus/internal/content"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
)

// TestReadme checks that the README names every file, and no other.
func TestReadme(t *testing.T) {
	t.Parallel()
	quickstart := examples.Quickstart()
	readme, err := fs.ReadFile(quickstart, "README.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := strings.Count(string(readme), "\n| `")
	files := 0
	err = fs.WalkDir(quickstart, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || name == "README.md" {
			return err
		}
		files++
		if !strings.Contains(string(readme), "\n| `"+name+"` |") {
			t.Errorf("the README has no row for %s", name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files == 0 || rows != files {
		t.Errorf("%d rows for %d files", rows, files)
	}
}

// TestYAML checks that rules, playbooks and inventory are YAML as jet-bus reads it.
func TestYAML(t *testing.T) {
	t.Parallel()
	quickstart := examples.Quickstart()
	for _, name := range []string{
		"rules/quickstart.yml", "playbooks/upgrade.yml", "inventory/groups/web", "inventory/group_vars/web",
	} {
		data, err := fs.ReadFile(quickstart, name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := strictyaml.Parse(name, data); err != nil {
			t.Error(err)
		}
	}
}

// TestRelease checks that the payload fits the rule.
func TestRelease(t *testing.T) {
	t.Parallel()
	data, err := fs.ReadFile(examples.Quickstart(), "release.json")
	if err != nil {
		t.Fatal(err)
	}
	var payload struct {
		Action  string
		Release struct {
			TagName    string `json:"tag_name"`
			Prerelease *bool
		}
	}
	if err := json.Unmarshal(data, &payload); err != nil {
		t.Fatal(err)
	}
	r := payload.Release
	if payload.Action != "published" || !strings.HasPrefix(r.TagName, "v2.") || r.Prerelease == nil || *r.Prerelease {
		t.Errorf("payload is %+v", payload)
	}
}

// TestCopy checks that a copy, as the demo makes one, is content for a job, and
// that the app in it runs.
func TestCopy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.CopyFS(dir, examples.Quickstart()); err != nil {
		t.Fatal(err)
	}
	if _, err := content.Build(t.Context(), dir); err != nil {
		t.Error(err)
	}
	app := filepath.Join(dir, "playbooks/files/app.sh")
	for _, verb := range []string{"install", "restart"} {
		if out, err := exec.CommandContext(t.Context(), "/bin/sh", app, verb).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", verb, err, out)
		}
	}
	for _, name := range []string{"installed", "restarts"} {
		if _, err := os.Stat(filepath.Join(filepath.Dir(app), name)); err != nil {
			t.Error(err)
		}
	}
	if err := exec.CommandContext(t.Context(), "/bin/sh", app).Run(); err == nil {
		t.Error("the app takes no verb")
	}
}
