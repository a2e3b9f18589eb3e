package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/jet-bus/jet-bus/internal/busd"
	"github.com/jet-bus/jet-bus/internal/proc"
)

// asDaemon in the environment makes this binary jet-bus.
const asDaemon = "JET_FLOW_TEST_DAEMON"

// orphan is a goroutine that the client may leave behind: it waits on a channel that was set to nil before it looked.
const orphan = "github.com/nats-io/nats.go/jetstream.(*jetStream).resetPendingAcksOnReconnect"

func TestMain(m *testing.M) {
	if os.Getenv(asDaemon) != "" {
		os.Exit(proc.Main(busd.Main))
	}
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction(orphan))
}

func TestPercentile(t *testing.T) {
	t.Parallel()
	hundred := make([]int, 100)
	for i := range hundred {
		hundred[i] = i + 1
	}
	for _, tt := range []struct {
		name   string
		sorted []int
		p      float64
		want   int
	}{
		{"none", nil, 50, 0},
		{"one", []int{7}, 99, 7},
		{"least", hundred, 0, 1},
		{"middle", hundred, 50, 50},
		{"p90", hundred, 90, 90},
		{"p99", hundred, 99, 99},
		{"most", hundred, 100, 100},
		{"p99 of few", []int{1, 2, 3}, 99, 3},
		{"middle of even", []int{1, 2, 3, 4}, 50, 2},
		{"middle of odd", []int{1, 2, 9}, 50, 2},
	} {
		if got := percentile(tt.sorted, tt.p); got != tt.want {
			t.Errorf("%s: percentile %v of %v is %d, want %d", tt.name, tt.p, tt.sorted, got, tt.want)
		}
	}
}

func TestSpread(t *testing.T) {
	t.Parallel()
	ms := time.Millisecond
	got := spreadOf([]time.Duration{4 * ms, ms / 2, 3 * ms, 2 * ms})
	if diff := cmp.Diff(spread{P50: 2, P90: 4, P99: 4, Max: 4}, got); diff != "" {
		t.Error(diff)
	}
	values := []float64{30, 10, 20}
	if diff := cmp.Diff(extent{Min: 10, Median: 20, Max: 30}, extentOf(values)); diff != "" {
		t.Error(diff)
	}
	if !slices.Equal(values, []float64{30, 10, 20}) {
		t.Errorf("extentOf changed its argument to %v", values)
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	got, err := parseSettings(strings.Fields(
		"--n 500 --rounds 2 --runners 3,4 --slots 4 --publishers 5 --rates 10,20 --paced 2s --durability process --dir /d --http --json"+
			" --cpuprofile p --parts process,ingest --senders 6,7 --clients 8 --each 1s --stored 0,9 --idle 3s --restarts 2 --binary b"),
		io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	want := settings{
		Events: 500, Rounds: 2, Parts: []string{"process", "ingest"}, Runners: []int{3, 4}, Stored: []int{0, 9}, Slots: 4, Publishers: 5,
		Rates: []int{10, 20}, Paced: 2 * time.Second, Senders: []int{6, 7}, Clients: 8, Each: time.Second,
		Idle: 3 * time.Second, Restarts: 2, Binary: "b", Durabilities: []string{"process"}, Dir: "/d", HTTP: true, JSON: true, CPUProfile: "p",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got, err = parseSettings(nil, io.Discard); err != nil {
		t.Fatal(err)
	}
	want = settings{
		Rounds: 3, Parts: []string{"ingest", "flow", "process"}, Runners: []int{1, 8}, Stored: []int{0}, Slots: 8, Publishers: 16,
		Rates: []int{50, 200}, Paced: 5 * time.Second, Senders: []int{64, 1000}, Clients: 64, Each: 1500 * time.Millisecond,
		Idle: 18 * time.Second, Restarts: 5, Durabilities: []string{"power", "process"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the defaults: %s", diff)
	}
}

func TestWrongUsage(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"--runners 0":       `"0" is no number of 1 or more`,
		"--runners ,":       "--runners must be 1 or more, not 0",
		"--stored -1":       `"-1" is no number of 0 or more`,
		"--parts flow,all":  `"all" is none of ingest, flow, process`,
		"--restarts 0":      "--restarts must be 1 or more",
		"--n -1":            "--n must be 0 or more",
		"--paced 10ms":      "--paced must be",
		"--each 1ms":        "--each must be",
		"--clients 0":       "--clients must be 1 or more",
		"--rates fast":      `"fast" is no number of 1 or more`,
		"--rates 0":         `"0" is no number of 1 or more`,
		"--durability none": `"none" is none of`,
		"--no-such":         "not defined",
		"now":               `takes no arguments, got "now"`,
	} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), strings.Fields(args), &out, &errs); code != 2 {
			t.Errorf("%s: exit code %d, want 2", args, code)
		}
		if !strings.Contains(errs.String(), want) || out.Len() > 0 {
			t.Errorf("%s: says %q and prints %q, want %q and nothing", args, &errs, &out, want)
		}
	}
}

func TestFindMount(t *testing.T) {
	t.Parallel()
	const info = `22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:25 / /tmp rw,nosuid shared:3 master:1 - tmpfs tmpfs rw
31 22 254:16 / /srv/data rw - xfs /dev/vdb rw
32 22 254:32 / /srv/data rw - btrfs /dev/vdc rw
broken
`
	for dir, want := range map[string][2]string{
		"/home/a":     {"ext4", "254:0"},
		"/tmp":        {"tmpfs", "0:25"},
		"/tmp/a/b":    {"tmpfs", "0:25"},
		"/tmpfile":    {"ext4", "254:0"},
		"/srv/data/x": {"btrfs", "254:32"}, // mounted over the other
	} {
		filesystem, device := findMount(info, dir)
		if filesystem != want[0] || device != want[1] {
			t.Errorf("%s is on %s %s, want %s", dir, filesystem, device, want)
		}
	}
	if filesystem, _ := findMount("", "/"); filesystem != "unknown" {
		t.Errorf("without a table / is on %s", filesystem)
	}
}

func TestDisk(t *testing.T) {
	t.Parallel()
	const text = "1 2 3 4 100 6 7 8 9 10 11 12 13 14 15 40 17\n"
	flushes, writes := parseDisk(strings.Replace(text, " 100 ", " 120 ", 1)).per(parseDisk(text), 10)
	if flushes != 0 || writes != 2 {
		t.Errorf("20 writes for 10 are %v flushes and %v writes each, want 0 and 2", flushes, writes)
	}
	if d := parseDisk("1 2 3"); d.known {
		t.Errorf("an old kernel's counters are taken for %+v", d)
	}
}

// The whole way, small: every figure is there, the stations are in order, nothing is left behind.
func TestRun(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts a bus and runners")
	}
	for _, transport := range []string{"bus", "http"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			dir := t.TempDir()
			args := []string{
				"--n", "20", "--rounds", "1", "--runners", "1", "--publishers", "2", "--rates", "5,1000000",
				"--paced", "1s", "--durability", "process", "--json", "--dir", dir,
				"--idle", "0s", "--restarts", "1", "--binary", daemonFile(t),
				"--senders", "3", "--clients", "2", "--each", "100ms",
				"--cpuprofile", filepath.Join(t.TempDir(), "cpu.prof"),
			}
			if transport == "http" {
				args = append(args[:len(args)-2], "--http") // one CPU profile at a time
			}
			var out, errs bytes.Buffer
			if code := run(ctx, args, &out, &errs); code != 0 {
				t.Fatalf("exit code %d: %s", code, &errs)
			}
			checkReport(t, out.Bytes())
			left, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			if len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func checkReport(t *testing.T, text []byte) {
	t.Helper()
	var r report
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Durabilities) != 1 || len(r.Durabilities[0].Flows) != 1 || len(r.Processes) != 1 {
		t.Fatalf("want one durability, one flow, one process:\n%s", text)
	}
	d := r.Durabilities[0]
	checkIngest(t, d.Ingest, 1)
	if d.Bare == nil || d.Bare.One <= 0 || d.Bare.Many <= 0 {
		t.Errorf("a rate of the bare stream is missing: %+v", d.Bare)
	}
	checkFlow(t, d.Flows[0])
	checkProcess(t, r.Processes[0], 0)
	if len(r.Targets) < 2 || r.Targets[0].What != "process: events to result" || r.Targets[0].Figure != d.Flows[0].ToResult.Median {
		t.Errorf("the targets are %+v", r.Targets)
	}
}

func checkFlow(t *testing.T, f flowReport) {
	t.Helper()
	if f.Runners != 1 || len(f.Rounds) != 1 || len(f.Latencies) != 2 {
		t.Fatalf("want one runner, one round, two open loops: %+v", f)
	}
	one, l := f.Rounds[0], f.Latencies[0]
	if one.Syncs <= 0 || one.SyncP99 <= 0 || one.ToEnd <= 0 {
		t.Errorf("a figure is missing: %+v", one)
	}
	if one.Accepted < one.ToResult || one.ToResult < one.ToEnd {
		t.Errorf("the stations are out of order: %+v", one)
	}
	if one.Stored.Events != 1 || one.Stored.Jobs < 1 || one.Stored.Runs < 4 {
		t.Errorf("an event takes %+v messages", one.Stored)
	}
	if want := one.ToResult * (one.Stored.Events + one.Stored.Runs) / one.Syncs; f.OfDisk.Median != want {
		t.Errorf("the flow gets %v out of the disk, want %v", f.OfDisk.Median, want)
	}
	if l.Events != 5 || l.ToResult.P50 <= 0 || l.ToResult.P50 > l.ToEnd.P50 || l.ToEnd.P99 > l.ToEnd.Max {
		t.Errorf("the open loop gives %+v", l)
	}
	if !f.Latencies[1].Beyond {
		t.Errorf("a million events a second are not beyond the throughput: %+v", f.Latencies[1])
	}
}

// Taking in alone: the section is there, with senders enough for batches, and nothing else is.
func TestIngest(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts a bus")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	args := strings.Fields("--parts ingest --rounds 2 --senders 4,40 --clients 3 --each 150ms --durability power --dir " + t.TempDir())
	var out, errs bytes.Buffer
	if code := run(ctx, append(args, "--json"), &out, &errs); code != 0 {
		t.Fatalf("exit code %d: %s", code, &errs)
	}
	var r report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Durabilities) != 1 || len(r.Durabilities[0].Flows) != 0 || len(r.Processes) != 0 {
		t.Fatalf("want one durability and no flow:\n%s", &out)
	}
	checkIngest(t, r.Durabilities[0].Ingest, 2)
	var table bytes.Buffer
	if err := r.writeTable(&table); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"webhook, 40 senders", "bus, 3 clients", "webhook, 1 sender, per fsync"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("the table has no %q:\n%s", want, &table)
		}
	}
}

func checkIngest(t *testing.T, in *ingest, rounds int) {
	t.Helper()
	if in == nil || len(in.Rounds) != rounds {
		t.Fatalf("want taking in measured %d times: %+v", rounds, in)
	}
	for _, one := range in.Rounds {
		rates := append([]float64{one.Syncs, one.One, one.Bus}, one.HTTP...)
		if len(one.HTTP) != len(in.HTTP) || len(one.HTTP) != len(in.PerBus) || slices.Min(rates) <= 0 {
			t.Errorf("a rate is missing: %+v", one)
		}
	}
	last := in.Rounds[len(in.Rounds)-1]
	if got := last.HTTP[0] / last.Bus; got < in.PerBus[0].Min || got > in.PerBus[0].Max {
		t.Errorf("the ratio %v is not within %+v", got, in.PerBus[0])
	}
}

// A refusal is told with its status and what was answered.
func TestWireTellsARefusal(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.URL.Path != "/hooks/flow-0007" || !bytes.Contains(body, []byte("a000000000007")) {
			t.Errorf("got %s %s, %v", r.URL, body, err)
		}
		http.Error(w, "slow down", http.StatusTooManyRequests)
	}))
	defer server.Close()
	w, err := dialWire(t.Context(), server.Listener.Addr().String(), []byte("secret"), "a")
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	for range 2 { // the connection stays usable
		if err := w.post(7); err == nil || !strings.Contains(err.Error(), "429 slow down") {
			t.Errorf("got %v, want the status and the answer", err)
		}
	}
}
