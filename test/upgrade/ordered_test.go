package upgrade_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/busd"
	"github.com/jet-bus/jet-bus/internal/ordered"
	"github.com/jet-bus/jet-bus/internal/queue"
)

// remembering are rules that the versions which made the stores did not know. What
// they wait for is partly in the stores already, from before they were in force.
const remembering = `rules:
  - name: both
    all: {within: 1h, clauses: {fresh: {on: com.example.fresh}, more: {on: com.example.more}}}
    run: {playbook: playbooks/deploy.yml, limit: web1, vars: {number: 9}}
  - name: old
    all: {within: 1h, clauses: {deploy: {on: com.example.deploy, condition: event.id != "new-1"}, more: {on: com.example.more}}}
    run: {playbook: playbooks/deploy.yml, limit: web1, vars: {number: 9}}
  - name: silent
    absent: {on: com.example.fresh, within: 2s}
    publish: {type: com.example.silence}
`

// withRules copies the content of the stores, and adds the rules above.
func withRules(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "content")
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "content"))); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "rules", "remembering.yml"), []byte(remembering), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// remember has the new rules fire on a store that knew nothing of them.
func remember(t *testing.T, p *busd.Process) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, name := range []string{
		bus.StreamDecisions, bus.StreamNotify, "KV_" + bus.BucketHeld, "KV_" + bus.BucketControl, "OBJ_" + bus.ObjectsStates,
	} {
		if _, err := p.Bus.JS.Stream(ctx, name); err != nil {
			t.Errorf("stream %s: %v", name, err)
		}
	}
	for _, kind := range []string{"fresh", "more"} {
		e, err := events.New("/fixture", "com.example."+kind, map[string]any{"host": "web1"})
		if err != nil {
			t.Fatal(err)
		}
		e.SetID(kind + "-1")
		if _, err := p.Bus.PublishEvent(ctx, bus.ClassExternal, e); err != nil {
			t.Fatal(err)
		}
	}
	fired := map[string]int{}
	for r, err := range ordered.Records(ctx, p.Bus, "", bus.TailOptions{Follow: true}) {
		if err != nil {
			t.Fatalf("%v; fired: %v", err, fired)
		}
		fired[r.Rule+" "+r.Outcome]++
		if r.Rule == "silent" && fired["both fired"] > 0 { // time decides, later than the events
			break
		}
	}
	if fired["both fired"] != 1 || fired["silent fired"] == 0 || len(fired) != 2 {
		t.Errorf("decided: %v", fired)
	}
	want := queue.ID("/fixture", "more-1", "both", "")
	if r, err := p.Queue.Get(ctx, want); err != nil || r.Rule != "both" {
		t.Errorf("the job of both: %+v, %v", r, err)
	}
}
