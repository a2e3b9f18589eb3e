package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
)

// said is the result of a task that said much.
func said(stdout, stderr string) events.TaskFinished {
	return events.TaskFinished{
		Play: "p", Task: "t", Module: "shell", Host: "h", Status: "executed", Message: "said much",
		Command: &events.Command{Cmd: "cat", Stdout: stdout, Stderr: stderr},
	}
}

// reporting runs a job that reports results, each with its whole texts, and returns
// the results as watchers see them.
func (l *lab) reporting(results []events.TaskFinished, whole []map[string]string) []events.TaskFinished {
	l.t.Helper()
	l.runner("r", nil, func(ctx context.Context, lease *Lease) Outcome {
		for i, r := range results {
			if err := lease.Report(ctx, r, whole[i]); err != nil {
				return Outcome{State: Failed, Reason: err.Error()}
			}
		}
		return Outcome{State: Succeeded}
	})
	rec, got := l.end(l.submit(Job{Playbook: "p", Limit: []string{"h"}}).ID)
	if rec.State != Succeeded || len(got) != len(results) || rec.Results != len(results) {
		l.t.Fatalf("%s (%s) with %d results", rec.State, rec.Reason, len(got))
	}
	return got
}

// Whole texts are there when their result is, in the order of the results, for a
// viewer too.
func TestWholeOutput(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	const n = 3 * largeResults
	var results []events.TaskFinished
	var whole []map[string]string
	for i := range n {
		results = append(results, said("head […] tail", ""))
		text := map[string]string{events.OutputStdout: strings.Repeat(fmt.Sprintf("line of %d\n", i/2), 20_000), events.OutputMessage: "all"}
		if i%3 == 1 {
			text = nil
		}
		whole = append(whole, text)
	}
	got := l.reporting(results, whole)
	viewer := New(bustest.Connect(t, l.server, busserver.RoleViewer, "v"), nil)
	for i, r := range got {
		if r.Seq != i+1 || len(r.Outputs) != len(whole[i]) || r.Command.Stdout != "head […] tail" {
			t.Fatalf("result %d is number %d with outputs %v", i+1, r.Seq, r.Outputs)
		}
		for _, o := range r.Outputs {
			text, err := viewer.Output(t.Context(), o)
			if want := whole[i][o.Name]; err != nil || string(text) != want || o.Bytes != int64(len(want)) {
				t.Errorf("result %d, %s: %d bytes, %v, want %d", i+1, o.Name, len(text), err, len(want))
			}
		}
	}
	o := got[0].Outputs[0]
	o.SHA256 = strings.Repeat("ab", 32)
	if _, err := viewer.Output(t.Context(), o); !errors.Is(err, ErrNoOutput) {
		t.Errorf("an output that is not there: %v", err)
	}
	if err := l.bus.PutObject(t.Context(), bus.ObjectsOutputs, o.SHA256, []byte("forged")); err != nil {
		t.Fatal(err)
	}
	if text, err := viewer.Output(t.Context(), o); !errors.Is(err, ErrNoOutput) {
		t.Errorf("a forged output: %q, %v", text, err)
	}
}

// More output than fits into an event once it is JSON is cut, and kept whole.
func TestBinaryOutput(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	zero := strings.Repeat("\x00", 40_000)
	r := l.reporting([]events.TaskFinished{said(zero, zero)}, []map[string]string{nil})[0]
	if !r.Command.Truncated || len(r.Outputs) == 0 || r.Message != "said much" {
		t.Fatalf("truncated %v, outputs %v, message %q", r.Command.Truncated, r.Outputs, r.Message)
	}
	for _, o := range r.Outputs {
		if text, err := l.queue.Output(t.Context(), o); err != nil || string(text) != zero {
			t.Errorf("%s: %d bytes, %v", o.Name, len(text), err)
		}
	}
}

// Where the store of outputs is full the results come all the same, and say that
// there was more.
func TestOutputWithoutRoom(t *testing.T) {
	t.Parallel()
	s, b := bustest.Start(t, bustest.WithLimits(bus.Limits{RunsMaxBytes: 4 << 20}))
	l := &lab{t: t, server: s, bus: b, queue: New(b, slog.New(slog.NewTextHandler(testWriter{t}, nil)))}
	if err := l.queue.Open(t.Context(), nil, quick); err != nil {
		t.Fatal(err)
	}
	l.stop = l.schedule(&Scheduler{Queue: l.queue, Timing: quick})
	much := map[string]string{events.OutputStdout: strings.Repeat("x", 3<<20), events.OutputStderr: "little"}
	got := l.reporting([]events.TaskFinished{said("head", "tail"), said("", "")}, []map[string]string{much, nil})
	for _, o := range got[0].Outputs {
		text, err := l.queue.Output(t.Context(), o)
		switch {
		case o.Name == events.OutputStdout && (o.SHA256 != "" || o.Lost != "the store of outputs is full" || !errors.Is(err, ErrNoOutput)):
			t.Errorf("%+v: %v", o, err)
		case o.Bytes != int64(len(much[o.Name])):
			t.Errorf("%+v: it had %d bytes", o, len(much[o.Name]))
		case o.Name == events.OutputStderr && o.Lost == "" && string(text) != "little":
			t.Errorf("%+v: %q, %v", o, text, err)
		}
	}
	if got[0].Command.Stdout != "head" || got[0].Outputs == nil || got[1].Outputs != nil {
		t.Errorf("results: %+v", got)
	}
}

// Every result gets into a message, and what was cut of it can be had whole.
func TestResultsFit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := func(name string) string {
			unit := rapid.SampledFrom([]string{"a", "é", "\x00", "<", "line\n"}).Draw(t, name)
			return strings.Repeat(unit, rapid.IntRange(0, 100_000).Draw(t, name+" length"))
		}
		in := said(text("stdout"), text("stderr"))
		in.Message, in.Diff, in.Command.Cmd, in.Seq, in.Attempt = text("message"), text("diff"), text("cmd"), 1, 1
		stdout, diff := in.Command.Stdout, in.Diff
		r, err := newResult(Job{ID: "j"}, in, nil)
		if err != nil {
			t.Fatal(err)
		}
		e, err := bus.DecodeEvent(r.msg.Header, r.msg.Data)
		if err != nil {
			t.Fatal(err)
		}
		var got events.TaskFinished
		if err := e.DataAs(&got); err != nil {
			t.Fatal(err)
		}
		if in.Command.Stdout != stdout {
			t.Fatal("the caller's result was changed")
		}
		refers := map[string]bool{}
		for _, o := range got.Outputs {
			if refers[o.Name] || o.Bytes != int64(len(r.whole[o.Name])) || o.SHA256 == "" {
				t.Fatalf("reference %+v", o)
			}
			refers[o.Name] = true
		}
		for _, m := range []struct{ name, had, has string }{
			{events.OutputStdout, stdout, got.Command.Stdout},
			{events.OutputDiff, diff, got.Diff},
			{events.OutputStderr, in.Command.Stderr, got.Command.Stderr},
			{events.OutputMessage, in.Message, got.Message},
		} {
			if refers[m.name] != (m.had != m.has) || refers[m.name] && r.whole[m.name] != m.had || !utf8.ValidString(m.has) {
				t.Fatalf("%s of %d bytes is %d bytes, referred to: %v", m.name, len(m.had), len(m.has), refers[m.name])
			}
		}
	})
}
