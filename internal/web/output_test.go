package web

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/queue"
)

// Texts that are too large for a result are linked, and served as plain text.
func TestOutput(t *testing.T) {
	t.Parallel()
	_, b, q, h := newPage(t)
	rec, _, err := q.Submit(t.Context(), queue.Job{ID: queue.NewID()})
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(hostile))
	name := hex.EncodeToString(sum[:])
	if err := b.PutObject(t.Context(), bus.ObjectsOutputs, name, []byte(hostile)); err != nil {
		t.Fatal(err)
	}
	e, err := events.New("/jobs/x", events.TypeTaskFinished, events.TaskFinished{
		Job: rec.ID, Attempt: 1, Seq: 2, Play: "p", Task: "t", Module: "shell", Host: "h", Status: "executed",
		Outputs: []events.Output{
			{Name: "stdout", Bytes: 2 << 20, SHA256: name},
			{Name: "stderr", Bytes: 5, Lost: hostile},
			{Name: quoted, Bytes: 5, SHA256: quoted},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	msg, err := bus.EncodeEvent(bus.ResultSubject(rec.ID), e)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.Publish(t.Context(), msg); err != nil {
		t.Fatal(err)
	}
	path := "/jobs/" + rec.ID + "/results/1.2/"
	contains(t, get(t, h, "/jobs/"+rec.ID, http.StatusOK), `<a href="`+path+`stdout">stdout, 2.0 MiB</a>`,
		"stderr, 5 bytes, was not kept whole: &lt;script&gt;")

	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost:4280"+path+"stdout", nil))
	if w.Code != http.StatusOK || w.Body.String() != hostile {
		t.Errorf("%d: %s", w.Code, w.Body)
	}
	for name, want := range map[string]string{
		"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff",
		"Content-Security-Policy": "default-src 'none'; sandbox",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for _, p := range []string{path + "stderr", path + "diff", "/jobs/" + rec.ID + "/results/2.2/stdout", "/jobs/ffff/results/1.2/stdout"} {
		get(t, h, p, http.StatusNotFound)
	}
}
