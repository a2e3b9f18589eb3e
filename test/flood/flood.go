package flood

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Settings say what is done.
type Settings struct {
	// Binary is jet-bus. Dir is where its directory is made; empty means the system's for temporary files.
	Binary string `json:"-"`
	Dir    string `json:"-"`
	// Rate is how many requests are sent each second, for as long as For. Bad is the part of them that is to be refused.
	Rate int           `json:"rate"`
	For  time.Duration `json:"for_ns"`
	Bad  float64       `json:"bad"`
	// Durability is that of jet-bus, power or process.
	Durability string `json:"durability"`
	// Body is the size of a delivery, in bytes, but of one in fifty good ones, which are large.
	Body int `json:"body"`
	// Slow is how many connections send a byte now and then, Giant how many senders send giant bodies.
	Slow  int `json:"slow"`
	Giant int `json:"giant"`
	// AnswerIn is how long a sender waits for its answer.
	AnswerIn time.Duration `json:"answer_in_ns"`
	// Rest is how long jet-bus is left alone before its memory is read for the last time.
	Rest time.Duration `json:"rest_ns"`
}

// Defaults are the settings of the flood that jet-bus has to stand.
func Defaults() Settings {
	return Settings{
		Rate: 1000, For: 30 * time.Second, Bad: 0.5, Durability: "power", Body: 10 << 10, Slow: 300, Giant: 6,
		AnswerIn: 10 * time.Second, // as git hosts wait
		Rest:     20 * time.Second,
	}
}

// Run sends the flood to a jet-bus that it starts, and stops. An error says that nothing was measured; what jet-bus did
// wrong is in [Report.Faults].
func Run(ctx context.Context, s Settings) (r Report, err error) {
	r.Settings, r.faults = s, &faults{}
	dir, err := os.MkdirTemp(s.Dir, "jet-bus-flood-")
	if err != nil {
		return r, fmt.Errorf("make a directory to work in: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	secrets, err := writeSite(dir)
	if err != nil {
		return r, fmt.Errorf("write the content: %w", err)
	}
	srv, err := startServer(ctx, s, dir)
	if err != nil {
		return r, err
	}
	defer func() {
		if err != nil {
			srv.kill()
		}
	}()
	before, err := srv.memory()
	if err != nil {
		return r, err
	}
	cpu := srv.cpu()
	work, stop := context.WithCancel(ctx)
	defer stop()
	var beside sync.WaitGroup
	h := &hostile{address: srv.hostPort(), faults: r.faults}
	beside.Go(func() { h.run(work, s) })
	l := newLoad(s, srv.address.HTTP, secrets, r.faults)
	over := make(chan struct{})
	beside.Go(func() { l.run(ctx); close(over) })
	r.Patient = l.insist(ctx, over)
	<-over
	during, err := srv.memory()
	r.CPU = srv.cpu() - cpu
	// Senders that are still there may not keep jet-bus from being well.
	r.Healthy = srv.healthy(ctx)
	stop()
	beside.Wait()
	if err = errors.Join(err, ctx.Err()); err != nil {
		return r, err
	}
	r.Good, r.Bad = l.good.result(), l.bad.result()
	r.Hostile = h.counts()
	select {
	case <-ctx.Done():
		return r, ctx.Err()
	case <-srv.ended:
		return r, fmt.Errorf("jet-bus ended: %s", srv.said())
	case <-time.After(s.Rest):
	}
	rested, err := srv.memory()
	if err != nil {
		return r, err
	}
	if err := l.check(ctx, &r, srv); err != nil {
		return r, fmt.Errorf("compare with what is stored: %w", err)
	}
	after, err := srv.memory()
	if err != nil {
		return r, err
	}
	r.Memory = Memory{Before: before.rss, Peak: during.peak, End: during.rss, Rested: rested.rss, Known: after.known}
	if !srv.healthy(ctx) {
		r.Healthy = false
	}
	return r, srv.stop()
}

// writeSite makes what jet-bus is started on, and returns the secrets of its webhooks.
func writeSite(dir string) (secrets, error) {
	s := newSecrets()
	for name, text := range map[string]string{
		// No rule is about what comes in: what is measured is taking it in.
		"content/rules/a.yml":           "rules:\n  - name: nothing\n    on: [com.example.nothing]\n    run: {playbook: p.yml}\n",
		"content/p.yml":                 "- name: p\n  groups: [all]\n  tasks:\n    - !echo\n      msg: hello\n",
		"content/inventory/groups/main": "hosts: [localhost]\n",
		"github.secret":                 string(s.github),
		"standard.secret":               string(s.standard),
		"hooks.yml": `hooks:
  - {name: app, kind: github, secret_files: [github.secret], per_second: 100000, burst: 100000}
  - {name: partner, kind: standard, secret_files: [standard.secret], per_second: 100000, burst: 100000}
  - {name: limited, kind: github, secret_files: [github.secret]}
  - {name: big, kind: github, secret_files: [github.secret], max_body: 25MiB}
`,
	} {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, []byte(text), 0o600)); err != nil {
			return s, err
		}
	}
	return s, nil
}
