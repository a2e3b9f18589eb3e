package doors

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// kills is how often jet-bus is killed.
const kills = 10

// sources are all kinds of them. What stands in braces differs from run to run.
const sources = `
sources:
  all:
    schedule: {every: 1s, missed: all}
  last:
    schedule: {every: 2s, missed: last}
  typed:
    schedule: {every: 3s, missed: all, type: com.example.beat}
  drop:
    files: {directory: "{drop}", match: "*.txt", every: 1s, settle: 1s, content: text}
  orders:
    nats: {server: "{other}", subject: "orders.>", stream: ORDERS, type: com.example.order, content: json}
  plain:
    nats: {server: "{other}", subject: "plain.>", type: com.example.plain, content: json}
  lines:
    exec: {command: ["{lines}"], stop_after: 2s}
  raw:
    exec: {command: ["{raw}"], type: com.example.raw, stop_after: 2s}
  tool:
    releases: {provider: github, repository: acme/tool, base_url: "{site}", every: 10s}
`

const subscriptions = `
subscriptions:
  ordered:
    on: [com.example.line, com.github.*]
    url: "{sink}/ordered"
  all:
    url: "{sink}/all"
    parallel: 8
`

const reactions = `
rules:
  - name: push
    on: com.github.push
    run: {playbook: say.yml, limit: "${{ event.data.host }}", vars: {n: "${{ event.data.n }}"}}
  - name: after
    on: dev.jet-bus.job.succeeded.v1
    condition: event.data.rule == "push"
    run: {playbook: say.yml, limit: "${{ event.data.hosts[0] }}", vars: {n: "${{ event.data.job }}"}}
`

// linesScript goes on after the last event that was stored; rawScript knows nothing of
// an earlier life.
const (
	linesScript = `n=${JET_LAST_EVENT_ID#line-}
n=${n:-0}
while :; do
	n=$((n+1))
	printf '{"specversion":"1.0","id":"line-%d","source":"/lines","type":"com.example.line","data":{"n":%d}}\n' $n $n || exit
	sleep 0.15
done
`
	rawScript = `n=0
while :; do
	n=$((n+1))
	printf '{"run":"%d","n":%d}\n' $$ $n || exit
	sleep 0.25
done
`
)

// world is a site and all that sends to it.
type world struct {
	*site
	other     *other
	host      *host
	drop      *drop
	publisher *publisher
	sink      *sink
}

func newWorld(t *testing.T, seed uint64) *world {
	t.Helper()
	s := newSite(t)
	w := &world{
		site: s, other: newOther(t), host: newHost(t, s.http), drop: newDrop(t, s.dir+"/drop"),
		publisher: newPublisher(t), sink: newSink(t, seed),
	}
	fill := strings.NewReplacer("{drop}", w.drop.dir, "{other}", w.other.url, "{site}", w.publisher.site.URL, "{sink}", w.sink.url,
		"{lines}", s.script(t, "lines", linesScript), "{raw}", s.script(t, "raw", rawScript))
	s.write(t, "content/sources.yml", fill.Replace(sources))
	s.write(t, "content/subscriptions.yml", fill.Replace(subscriptions))
	s.write(t, "content/rules/reactions.yml", reactions)
	s.write(t, "content/say.yml", "- name: Say\n  groups: [web]\n  tasks:\n    - !echo {msg: \"{{ n }}\"}\n")
	return w
}

// seed is that of this run, JET_SEED if it is set.
func seed(t *testing.T) uint64 {
	t.Helper()
	n := rand.Uint64N(1 << 32)
	if text := os.Getenv("JET_SEED"); text != "" {
		var err error
		n, err = strconv.ParseUint(text, 10, 64)
		must(t, err)
	}
	t.Logf("JET_SEED=%d", n)
	return n
}

// TestKilled kills jet-bus again and again while events come in by every door.
func TestKilled(t *testing.T) {
	needed(t)
	t.Parallel()
	n := seed(t)
	rnd := rand.New(rand.NewPCG(n, 0))
	w := newWorld(t, n)
	w.start(t)
	w.startRunner(t)
	for _, name := range []string{"all", "last", "typed", "drop", "orders", "plain", "tool"} {
		w.fares(t, name, "well", well)
	}

	sending, stop := context.WithCancel(t.Context())
	defer stop()
	var senders sync.WaitGroup
	defer senders.Wait()
	defer stop()
	senders.Go(func() { w.other.send(sending, t) })
	senders.Go(func() { w.host.send(sending, t, 400*time.Millisecond) })
	senders.Go(func() { every(sending, 4*time.Second, func(int) { w.publisher.publish() }) })
	between := func(least, most time.Duration) time.Duration {
		return least + time.Duration(rnd.Int64N(int64(most-least)))
	}
	began := time.Now()
	for i := range kills {
		// Long enough for what was dropped before to be told, and noted.
		time.Sleep(between(3500*time.Millisecond, 7*time.Second))
		w.removeTold(t)
		w.drop.put(t, 120)
		time.Sleep(between(500*time.Millisecond, 2500*time.Millisecond))
		w.bus.Kill(t)
		down := between(0, 1500*time.Millisecond)
		if i == kills/2 {
			down = 7 * time.Second // some times are missed
		}
		t.Logf("%5.1fs kill %d, away for %s", time.Since(began).Seconds(), i+1, down)
		time.Sleep(down)
		w.start(t)
	}
	stop()
	senders.Wait()
	w.settle(t)
	// Whatever the next life does again, it has done when it brings something new.
	w.bus.Stop(t)
	w.start(t)
	w.drop.put(t, 1)
	w.settle(t)
	w.bus.Stop(t)
	w.start(t)
	w.check(t)
	w.bus.Stop(t)
}

// removeTold removes some of the files that were told a while ago.
func (w *world) removeTold(t *testing.T) {
	t.Helper()
	var names []string
	for _, e := range w.events(t) {
		if e.Type() == "dev.jet-bus.file.created.v1" && time.Since(e.at) > 3*time.Second && !w.drop.removed[e.Subject()] && len(names) < 10 {
			names = append(names, e.Subject())
		}
	}
	w.drop.take(t, names)
}

// settle waits until all that was sent has come through.
func (w *world) settle(t *testing.T) {
	t.Helper()
	within(t, 4*time.Minute, "everything to come through", func() string {
		all := w.events(t)
		count := map[string]int{}
		for _, e := range all {
			count[e.Type()]++
		}
		for typ, want := range map[string]int{
			"dev.jet-bus.file.created.v1": len(w.drop.dropped), "dev.jet-bus.file.removed.v1": len(w.drop.removed),
			"com.example.order": len(w.other.acked), "com.github.push": len(w.host.taken),
			"com.github.release.published": len(w.publisher.tags()),
		} {
			if count[typ] < want {
				return fmt.Sprintf("%d of %d %s", count[typ], want, typ)
			}
		}
		if missing := w.jobsMissing(t, all); missing != "" {
			return missing
		}
		// What has come before now is what the sink must have.
		if n, missing := w.sink.has("/all", old(all)); missing != "" {
			return fmt.Sprintf("the sink has %d of %d, and not %s", n, len(all), missing)
		}
		if n, missing := w.sink.has("/ordered", old(ordered(all))); missing != "" {
			return fmt.Sprintf("the ordered sink has %d of %d, and not %s", n, len(ordered(all)), missing)
		}
		return ""
	})
}

// old leaves out what is younger than a few seconds.
func old(all []stored) []stored {
	var out []stored
	for _, e := range all {
		if time.Since(e.at) > 5*time.Second {
			out = append(out, e)
		}
	}
	return out
}

// ordered are the events of the ordered subscription.
func ordered(all []stored) []stored {
	var out []stored
	for _, e := range all {
		if e.Type() == "com.example.line" || strings.HasPrefix(e.Type(), "com.github.") {
			out = append(out, e)
		}
	}
	return out
}
