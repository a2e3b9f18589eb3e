package flood

import (
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/jet-bus/jet-bus/test/process"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// mostMemory is more than jet-bus may ever have resident here, in bytes: 42 MB at rest, 32 MiB of bodies and half of
// that again while they grow, 4 MiB of bodies that are worked on at several times their size, the server's block files
// that are in use, and a quarter for garbage are 190 MB. Without these bounds the giant bodies alone take more.
const mostMemory = 256 << 20

// Every event that is accepted in a flood is stored, once, as it was sent, and nothing else is. Who sends slowly, or
// without an end, keeps nobody out and takes no memory.
func TestFlood(t *testing.T) {
	t.Parallel()
	for _, durability := range []string{"power", "process"} {
		t.Run(durability, func(t *testing.T) { // one after the other: together they would be one larger
			s := Defaults()
			s.Binary, s.Dir, s.Durability = process.Binary(t, "jet-bus"), t.TempDir(), durability
			s.Rate, s.For, s.Slow, s.Giant, s.AnswerIn, s.Rest = 150, 6*time.Second, 200, 24, process.Patience, 0
			r, err := Run(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			var text strings.Builder
			if err := r.WriteTable(&text); err != nil {
				t.Fatal(err)
			}
			t.Log(text.String())
			for _, f := range r.Faults() {
				t.Error(f)
			}
			if r.Found != r.Accepted || r.Accepted < 50 || r.Patient.Accepted < 1 {
				t.Errorf("%d events accepted, %d found, %d of the patient sender: that proves little", r.Accepted, r.Found, r.Patient.Accepted)
			}
			if r.Hostile.Slow < int64(s.Slow) || r.Hostile.Giants < int64(s.Giant) {
				t.Errorf("too few meant harm: %+v", r.Hostile)
			}
			if r.Memory.Known && r.Memory.Peak > mostMemory {
				t.Errorf("jet-bus had %d MB resident, want %d at most", r.Memory.Peak/1e6, mostMemory/1000000)
			}
		})
	}
}

// What is compared is found wrong if it is.
func TestComparison(t *testing.T) {
	t.Parallel()
	a, b := event{"s", "a"}, event{"s", "b"}
	accepted := map[event]stored{a: {1, []byte("a")}, b: {2, []byte("b")}}
	type add struct {
		event
		stored
	}
	first, second := add{a, accepted[a]}, add{b, accepted[b]}
	for name, tc := range map[string]struct {
		stored []add
		want   string
	}{
		"as it should":  {[]add{first, second}, ""},
		"not told":      {[]add{first, second, {event{"s", "c"}, stored{3, nil}}}, ""},
		"lost":          {[]add{first}, "event b was accepted at 2 and is lost"},
		"twice":         {[]add{first, second, {a, stored{3, []byte("a")}}}, "event a is stored 2 times"},
		"elsewhere":     {[]add{first, {b, stored{3, []byte("b")}}}, "event b was accepted at 2, and is stored at 3"},
		"altered":       {[]add{first, {b, stored{2, []byte("B")}}}, "event b at 2 is not what was sent"},
		"of a stranger": {[]add{first, second, {event{"s", unsaid + "1"}, stored{3, nil}}}, "event bad-1 was refused, and is stored at 3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := Report{faults: &faults{}, Healthy: true}
			c := newComparison(&r, accepted)
			for _, one := range tc.stored {
				c.add(one.event, one.stored)
			}
			c.end()
			all := strings.Join(r.Faults(), "\n")
			if (all == "") != (tc.want == "") || !strings.Contains(all, tc.want) {
				t.Errorf("%q, want %q", all, tc.want)
			}
			if whole := r.Found == len(accepted); whole && (tc.want != "" && name != "twice" && name != "of a stranger") {
				t.Errorf("%d found", r.Found)
			}
		})
	}
}

// A delivery that is sent again is the same, and the good ones and the bad ones are as many as is asked for.
func TestMaker(t *testing.T) {
	t.Parallel()
	for _, bad := range []float64{0, 0.25, 0.5, 1} {
		s := Defaults()
		s.Bad = bad
		m := newMaker(s, newSecrets())
		ids, hooks, good := map[string]int{}, map[string]int{}, 0
		const all = 1000
		for n := range all {
			d := m.make(n)
			if !d.good {
				continue
			}
			good++
			hooks[d.hook]++
			if id := d.header.Get("X-GitHub-Delivery"); id != "" {
				ids[id]++
			}
		}
		if want := int(all * (1 - bad)); good != want {
			t.Errorf("bad %v: %d good ones, want %d", bad, good, want)
		}
		again := 0
		for _, n := range ids {
			again += n - 1
		}
		if again != good/10 {
			t.Errorf("bad %v: %d of %d were sent before", bad, again, good)
		}
		for _, hook := range []string{"app", "partner", "limited"} {
			if bad < 1 && hooks[hook] < good/10 {
				t.Errorf("bad %v: %d for %s", bad, hooks[hook], hook)
			}
		}
	}
}
