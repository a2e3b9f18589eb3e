package rules_test

import (
	"runtime"
	"testing"
)

// BenchmarkMatchOne is the common case: of many rules one is for the type of the
// event, and its condition looks at the data.
func BenchmarkMatchOne(b *testing.B) {
	set := many(b, 1000)
	for name, data := range map[string]string{
		"fired":     `{"n":1,"repository":{"full_name":"acme/app","private":false},"ref":"refs/heads/main"}`,
		"not_fired": `{"n":7,"repository":{"full_name":"acme/app","private":false},"ref":"refs/heads/main"}`,
	} {
		b.Run(name, func(b *testing.B) {
			e := event(b, "t991.x", data)
			b.ReportAllocs()
			for b.Loop() {
				if len(set.Match(e, at)) != 1 {
					b.Fatal("want one candidate")
				}
			}
		})
	}
}

// TestMemoryOfIdleRules holds a rule to 8 KiB, with its condition and a value.
func TestMemoryOfIdleRules(t *testing.T) {
	if testing.Short() {
		t.Skip("loads 2,000 rules")
	}
	const n, most = 2000, 8 << 10
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	set := typical(t, n)
	per := int64(heap()-before) / n
	runtime.KeepAlive(set)
	t.Logf("%d bytes for a rule", per)
	if per > most {
		t.Errorf("a rule takes %d bytes, want at most %d", per, most)
	}
}
