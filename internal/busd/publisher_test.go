package busd

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jet-bus/jet-bus/events"
	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
	"github.com/jet-bus/jet-bus/internal/source/webhook"
)

// TestManyWebhooksAtOnce posts many events at the same time: each is stored where its sender is told,
// and they share syncs where there are any.
func TestManyWebhooksAtOnce(t *testing.T) {
	t.Parallel()
	for name, mode := range map[string]busserver.SyncMode{"power": busserver.Power, "process": busserver.Process} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(t)
			o.Sync = mode
			p, _ := run(t, o)
			c := client(t, nil)
			const senders = 150
			seqs := make([]uint64, senders)
			errs := make([]error, senders)
			var wg sync.WaitGroup
			for i := range senders {
				wg.Go(func() { seqs[i], errs[i] = postOne(t, c, p.Addr.HTTP, i) })
			}
			wg.Wait()
			batched := 0
			for i, seq := range seqs {
				if errs[i] != nil {
					t.Fatal(errs[i])
				}
				m, err := p.Bus.Get(t.Context(), bus.StreamEvents, seq)
				if err != nil {
					t.Fatal(err)
				}
				e, err := bus.DecodeEvent(m.Header, m.Data)
				if err != nil || e.ID() != fmt.Sprint(i) {
					t.Errorf("event %d is said to be message %d, which is %q, %v", i, seq, e.ID(), err)
				}
				if m.Header.Get("Nats-Batch-Id") != "" {
					batched++
				}
			}
			if (mode == busserver.Power) != (batched > 0) {
				t.Errorf("%d of %d events came in batches", batched, senders)
			}
		})
	}
}

// postOne posts event i and returns the sequence in the answer.
func postOne(t *testing.T, c *http.Client, base string, i int) (uint64, error) {
	body := fmt.Sprintf(`{"specversion":"1.0","id":"%d","source":"/many","type":"org.example.many"}`, i)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/hooks/ci", strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header = webhook.Sign(webhook.CloudEvents, secret, []byte(body))
	req.Header.Set("Content-Type", "application/cloudevents+json")
	resp, err := c.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	var answer struct{ Seq uint64 }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != http.StatusAccepted {
		return 0, fmt.Errorf("event %d: %s, %w", i, resp.Status, err)
	}
	return answer.Seq, nil
}

// A delivery that is sent again is the same event, after days too: what the server knows
// of message ids is gone then, as with another store, and the note is all there is.
func TestDeliveredAgain(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.Hooks = append(o.Hooks, webhook.Hook{Name: "app", Kind: webhook.GitHub, Secrets: [][]byte{secret}})
	p, _ := run(t, o)
	plain := publisher{publish: p.Bus.PublishEventAs}
	e, err := events.New("https://api.example/repos/acme/app", "com.github.push", map[string]int{"n": 1})
	if err != nil {
		t.Fatal(err)
	}
	e.SetID("delivery-1")
	seq, dup, err := p.lasting.PublishEvent(t.Context(), e, "")
	if err != nil || dup {
		t.Fatal(seq, dup, err)
	}
	eventually(t, "the event is noted", func() bool { _, ok := p.seen.Look(t.Context(), e); return ok })

	// Under another key the server does not know it, as after its two minutes.
	if again, dup, err := plain.PublishEvent(t.Context(), e, "two minutes later"); err != nil || dup || again == seq {
		t.Errorf("who does not look stores it again: %d %v %v", again, dup, err)
	}
	if again, dup, err := p.lasting.PublishEvent(t.Context(), e, "days later"); err != nil || !dup || again != seq {
		t.Errorf("sent again it is event %d, duplicate %v, %v; want %d", again, dup, err, seq)
	}

	// The same under another id is one within minutes, and is not noted as what it is not.
	first := e.Clone()
	first.SetID("a")
	seq, dup, err = p.lasting.PublishEvent(t.Context(), first, "digest")
	if err != nil || dup {
		t.Fatal(seq, dup, err)
	}
	second := e.Clone()
	second.SetID("b")
	if again, dup, err := p.lasting.PublishEvent(t.Context(), second, "digest"); err != nil || !dup || again != seq {
		t.Errorf("event %d, duplicate %v, %v; want %d", again, dup, err, seq)
	}

	// All hooks but those for CloudEvents look.
	body := []byte(`{"repository":{"full_name":"acme/app","url":"https://api.example/repos/acme/app"},"ref":"refs/heads/main"}`)
	for i, want := range []bool{false, true} {
		h := webhook.Sign(webhook.GitHub, secret, body)
		h.Set("Content-Type", "application/json")
		h.Set("X-GitHub-Event", "push")
		h.Set("X-GitHub-Delivery", "delivery-2")
		code, text := do(t, client(t, nil), http.MethodPost, p.Addr.HTTP+"/hooks/app", h, string(body))
		if code != http.StatusAccepted || !strings.Contains(text, fmt.Sprintf(`"duplicate":%v`, want)) {
			t.Errorf("delivery %d: %d %s", i, code, text)
		}
	}
	pushed := e.Clone()
	pushed.SetID("delivery-2")
	eventually(t, "the delivery is noted", func() bool { _, ok := p.seen.Look(t.Context(), pushed); return ok })
	if code, text := post(t, client(t, nil), p.Addr.HTTP, secret, event); code != http.StatusAccepted {
		t.Errorf("%d %s", code, text)
	}
	ci, err := events.New("/ci", "com.example.built", nil)
	if err != nil {
		t.Fatal(err)
	}
	ci.SetID("e1")
	if _, ok := p.seen.Look(t.Context(), ci); ok {
		t.Error("an event of a program is noted")
	}
}

// BenchmarkPublish is what storing an event costs with and without looking whether it was
// stored days ago, for one sender and for 64.
func BenchmarkPublish(b *testing.B) {
	for _, mode := range []busserver.SyncMode{busserver.Process, busserver.Power} {
		for _, senders := range []int{1, 64} {
			for _, look := range []bool{false, true} {
				b.Run(fmt.Sprintf("%v/%d/look=%v", mode, senders, look), func(b *testing.B) {
					_, conn := bustest.Start(b, bustest.WithServer(func(o *busserver.Options) { o.Sync = mode }))
					p := &Process{Bus: conn, o: Options{Sync: mode}, log: slog.New(slog.DiscardHandler)}
					with, lasting := p.publishers()
					if look {
						with = lasting
					}
					defer p.closePublishers(b.Context())
					b.SetParallelism(max(1, senders/runtime.GOMAXPROCS(0)))
					var n atomic.Int64
					one := func() {
						e, err := events.New("/bench", "com.example.bench", map[string]string{"filling": strings.Repeat("x", 900)})
						if err != nil {
							b.Error(err)
							return
						}
						e.SetID(fmt.Sprint(n.Add(1)))
						if _, dup, err := with.PublishEvent(b.Context(), e, ""); err != nil || dup {
							b.Error(dup, err)
						}
					}
					b.ResetTimer()
					before := cpuTime(b)
					defer func() { b.ReportMetric(float64((cpuTime(b)-before).Microseconds())/float64(b.N), "cpu-µs/op") }()
					if senders == 1 {
						for range b.N {
							one()
						}
						return
					}
					b.RunParallel(func(pb *testing.PB) {
						for pb.Next() {
							one()
						}
					})
				})
			}
		}
	}
}

// cpuTime is what the process has had of the processors: other than the time that passes,
// it says little of what else runs on the machine.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
