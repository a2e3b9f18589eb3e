package modules_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/engine"
	"github.com/jet-bus/jet-bus/modules"
	"github.com/jet-bus/jet-bus/test/releases"
)

// TestReleaseIsSaved makes sure that save sets its variable when the file is
// installed, when it is there already, and when none is asked for.
func TestReleaseIsSaved(t *testing.T) {
	t.Parallel()
	var srv *httptest.Server
	srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/tool" {
			fmt.Fprint(w, "binary")
			return
		}
		fmt.Fprintf(w, `[{"tag_name": "v1.2.0-rc1", "published_at": "2025-01-02T03:04:05Z", "assets": [
			{"name": "tool", "browser_download_url": "%s/tool"}]}, {"tag_name": "v2", "draft": true, "published_at": null}]`, srv.URL)
	}))
	t.Cleanup(srv.Close)
	dir := t.TempDir()
	playbook := filepath.Join(dir, "playbook.yml")
	text := fmt.Sprintf(`
- name: release
  groups: [all]
  tasks:
    - !github_release {repo: a/b, base_url: "%[1]s", channel: any, asset: tool, dest: "%[2]s/tool", save: r}
    - !echo {msg: "{{#if (isdefined r)}}{{r.tag}} {{r.version}} {{r.asset}} {{r.published}} {{r.prerelease}}{{/if}}"}
    - !github_release {repo: a/b, base_url: "%[1]s", channel: any, save: s}
    - !echo {msg: "{{s.tag}} [{{s.asset}}]"}
`, srv.URL, dir)
	if err := os.WriteFile(playbook, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	reg, err := engine.NewRegistry(modules.Table()...)
	if err != nil {
		t.Fatal(err)
	}
	pb, err := engine.Parse(playbook, reg, engine.ParseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	c := testCase{}
	saved := []string{"passive: v1.2.0-rc1 1.2.0-rc1 tool 2025-01-02T03:04:05Z true", "passive", "passive: v1.2.0-rc1 []"}
	for _, run := range []struct {
		check bool
		want  []string
	}{
		{true, []string{"created", "passive", "passive", saved[2]}},
		{false, append([]string{"created"}, saved...)},
		{false, append([]string{"passive"}, saved...)},
		{true, append([]string{"passive"}, saved...)},
	} {
		var got []string
		for _, e := range c.run(t, pb, reg, run.check) {
			got = append(got, outcome(e))
		}
		if diff := cmp.Diff(run.want, got); diff != "" {
			t.Errorf("check %v, -want +got:\n%s", run.check, diff)
		}
	}
}

// TestReleaseOfLaterRun makes sure that a run that begins after a release appeared
// sees it, although the process asked for the list a moment ago: a runner does that
// when one release follows another.
func TestReleaseOfLaterRun(t *testing.T) {
	t.Parallel()
	s := releases.Start()
	t.Cleanup(s.Close)
	playbook := filepath.Join(t.TempDir(), "playbook.yml")
	text := fmt.Sprintf(`
- name: release
  groups: [all]
  tasks:
    - !github_release {repo: acme/tool, base_url: "%[1]s", save: r}
    - !github_release {repo: acme/tool, base_url: "%[1]s", save: r}
    - !echo {msg: "{{r.tag}}"}
`, s.URL)
	if err := os.WriteFile(playbook, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	reg, err := engine.NewRegistry(modules.Table()...)
	if err != nil {
		t.Fatal(err)
	}
	pb, err := engine.Parse(playbook, reg, engine.ParseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	c := testCase{}
	for _, tag := range []string{"v1.0.0", "v1.1.0"} {
		s.Put("acme/tool", releases.Release{Tag: tag})
		var got []string
		for _, e := range c.run(t, pb, reg, false) {
			got = append(got, outcome(e))
		}
		if diff := cmp.Diff([]string{"passive", "passive", "passive: " + tag}, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if n := len(s.Took()); n != 1 {
			t.Errorf("the site was asked %d times in one run", n)
		}
	}
}
