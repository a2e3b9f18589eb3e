package examples_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/engine/inventory"
	"github.com/jet-bus/jet-bus/examples"
	"github.com/jet-bus/jet-bus/internal/content"
	"github.com/jet-bus/jet-bus/internal/strictyaml"
	"github.com/jet-bus/jet-bus/modules"
)

// directories are the examples.
var directories = []string{"quickstart", "webapp", "auto-upgrade"}

// TestReadme checks that every README names every file, and no other.
func TestReadme(t *testing.T) {
	t.Parallel()
	for _, dir := range directories {
		example := os.DirFS(dir)
		readme, err := fs.ReadFile(example, "README.md")
		if err != nil {
			t.Fatal(err)
		}
		rows := strings.Count(string(readme), "\n| `")
		files := 0
		err = fs.WalkDir(example, ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || name == "README.md" {
				return err
			}
			files++
			if !strings.Contains(string(readme), "\n| `"+name+"` |") {
				t.Errorf("the README of %s has no row for %s", dir, name)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if files == 0 || rows != files {
			t.Errorf("%s: %d rows for %d files", dir, rows, files)
		}
	}
}

// TestPlaybooks checks that the rules are YAML as jet-bus reads it, and that the
// playbooks and inventories hold no fault.
func TestPlaybooks(t *testing.T) {
	t.Parallel()
	reg, err := engine.NewRegistry(modules.Table()...)
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range directories {
		playbooks, err := filepath.Glob(filepath.Join(dir, "playbooks", "*.yml"))
		if err != nil || len(playbooks) == 0 {
			t.Fatalf("no playbooks in %s: %v", dir, err)
		}
		inv, err := inventory.Load(t.Context(), filepath.Join(dir, "inventory"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range playbooks {
			pb, err := engine.Parse(file, reg, engine.ParseOptions{})
			if err != nil {
				t.Error(err)
				continue
			}
			if hosts, err := pb.Hosts(inv, nil); err != nil || len(hosts) == 0 {
				t.Errorf("%s has %d hosts: %v", file, len(hosts), err)
			}
		}
	}
	rules, err := os.ReadFile("quickstart/rules/quickstart.yml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := strictyaml.Parse("quickstart.yml", rules); err != nil {
		t.Error(err)
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
