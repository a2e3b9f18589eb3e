package rules_test

import "testing"

func TestWants(t *testing.T) {
	t.Parallel()
	set := load(t, `
rules:
  - {name: whole, on: dev.jet-bus.job.failed.v1, run: {playbook: p.yml}}
  - {name: off, on: dev.jet-bus.job.dead.v1, enabled: false, run: {playbook: p.yml}}
  - {name: below, on: com.acme.*, shadow: true, run: {playbook: p.yml}}
  - name: window
    all:
      within: 5m
      clauses:
        a: {on: com.github.push}
        b: {on: dev.jet-bus.rule.fired.v1}
    run: {playbook: p.yml}
`)
	for typ, want := range map[string]bool{
		"dev.jet-bus.job.failed.v1": true, "dev.jet-bus.job.dead.v1": false, "dev.jet-bus.job.queued.v1": false,
		"com.acme.x.y": true, "com.acme": false, "dev.jet-bus.rule.fired.v1": true, "com.github.push": true, "": false,
	} {
		if got := set.Wants(typ); got != want {
			t.Errorf("%s: %t, want %t", typ, got, want)
		}
	}
}
