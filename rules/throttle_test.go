package rules_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestThrottle(t *testing.T) {
	t.Parallel()
	runFolds(t, []foldCase{
		{"first", `
rules:
  - {name: r, on: a, throttle: {key: event.data.k, every: 10s, take: first}, publish: {type: out, data: "${{ key }}"}}
`, `
1s a/1 {"k": 1}
	1s r fired key=1 1s..11s n=1 of 1 -> out "1"
10.999s a/2 {"k": 1}
	10.999s r suppressed key=1 1s..11s n=2
5s a/3 {"k": 2}
	10.999s r fired key=2 10.999s..20.999s n=1 of 3 -> out "2"
11s a/4 {"k": 1}
	11s r fired key=1 11s..21s n=1 of 4 -> out "1"
12s a/5 {}
	12s r unknown because event.data.k lacks event.data.k
`},
		{"first that fails holds back nothing", `
rules:
  - {name: r, on: a, throttle: {every: 10s, take: first}, publish: {type: out, data: "${{ event.data.n }}"}}
`, `
1s a/1 {}
	1s r failed err rules/r.yml:3:87: publish.data: event.data.n is not in the event
2s a/2 {"n": 2}
	2s r fired 2s..12s n=1 of 2 -> out 2
`},
		{"last", `
rules:
  - {name: r, on: a, throttle: {every: 10s, take: last}, publish: {type: out, data: ["${{ event.data.n }}", "${{ map(matches, .data.n) }}", "${{ window.count }}"]}}
`, `
1s a/1 {"n": 1}
	1s r waiting 1s..11s n=1
2s a/2 {"n": 2.0}
	2s r waiting 1s..11s n=2
3s a/1 {"n": 3}
	3s r waiting 1s..11s n=2
11s a/4 {"n": 4}
	11s r fired 1s..11s n=2 of 1 2 timer -> out [2,[1,2],2]
	11s r waiting 11s..21s n=1
`},
		{"last unique", `
rules:
  - {name: r, on: a, throttle: {every: 10s, take: last, unique: event.data.h}, publish: {type: out, data: "${{ map(matches, .id) }}"}}
`, `
1s a/1 {"h": "x"}
	1s r waiting 1s..11s n=1
2s a/2 {"h": "y"}
	2s r waiting 1s..11s n=2
3s a/3 {"h": "x"}
	3s r waiting 1s..11s n=3
20s
	20s r fired 1s..11s n=3 of 2 3 timer -> out ["2","3"]
`},
		{"count", `
rules:
  - {name: r, on: a, throttle: {every: 10s, take: {count: 3}, unique: event.data.h}, publish: {type: out, data: ["${{ event.id }}", "${{ map(matches, .data.h) }}", "${{ window.count }}"]}}
`, `
1s a/1 {"h": 1}
	1s r waiting 1s..11s n=1
2s a/2 {"h": 2}
	2s r waiting 1s..11s n=2
3s a/3 {"h": 2}
	3s r waiting 1s..11s n=2
11s a/4 {"h": 4}
	11s r waiting 2s..12s n=2
11.5s a/4 {"h": 5}
	11.5s r waiting 2s..12s n=2
11.999s a/6 {"h": 6}
	11.999s r fired 2s..12s n=3 of 2 4 6 -> out ["6",[2,4,6],3]
12s a/7 {"h": 7}
	12s r waiting 12s..22s n=1
`},
		{"of all", `
rules:
  - name: first
    all: {within: 10s, key: event.data.k, clauses: {x: {on: a}, y: {on: b}}}
    throttle: {every: 1m, take: first}
    publish: {type: out, data: ["${{ key }}", "${{ events.x.id }}"]}
  - name: last
    all: {within: 10s, key: event.data.k, clauses: {x: {on: a}, y: {on: b}}}
    throttle: {every: 20s, take: last}
    publish: {type: out, data: ["${{ key }}", "${{ events.x.id }}", "${{ event.id }}", "${{ len(matches) }}", "${{ window.began - now < duration(\"0s\") }}"]}
  - name: count
    all: {within: 10s, key: event.data.k, clauses: {x: {on: a}, y: {on: b}}}
    throttle: {every: 20s, take: {count: 2}}
    publish: {type: out, data: ["${{ key }}", "${{ events.x.id }}", "${{ map(matches, .id) }}"]}
`, `
1s a/1 {"k": 1}
	1s first waiting key=1 1s..11s n=1
	1s last waiting key=1 1s..11s n=1
	1s count waiting key=1 1s..11s n=1
2s b/2 {"k": 1}
	2s first fired key=1 1s..11s n=2 of x:1 y:2 -> out ["1","1"]
	2s last waiting 2s..22s n=1
	2s count waiting 2s..22s n=1
3s b/3 {"k": 2}
	3s first waiting key=2 3s..13s n=1
	3s last waiting key=2 3s..13s n=1
	3s count waiting key=2 3s..13s n=1
4s a/4 {"k": 2}
	4s first suppressed 2s..1m2s n=2
	4s last waiting 2s..22s n=2
	4s count fired key=2 3s..13s n=2 of y:3 x:4 -> out ["2","4",["2","4"]]
22s
	22s last fired 2s..22s n=2 of y:2 x:4 timer -> out ["2","4","4",2,true]
`},
		{"of absences", `
rules:
  - name: first
    absent: {on: a, within: 10s, key: event.data.k, expect: [p, q]}
    throttle: {every: 5s, take: first}
    publish: {type: out, data: "${{ key }}"}
  - name: last
    absent: {on: a, within: 10s, key: event.data.k, expect: [p, q]}
    throttle: {every: 5s, take: last}
    publish: {type: out, data: ["${{ key }}", "${{ events.last.id ?? \"-\" }}"]}
  - name: count
    absent: {on: a, within: 10s, key: event.data.k, expect: [p, q]}
    throttle: {every: 5s, take: {count: 2}}
    publish: {type: out, data: "${{ key }}"}
`, `
1s a/1 {"k": "q"}
	1s first waiting key=q 1s..11s n=1
	1s last waiting key=q 1s..11s n=1
	1s count waiting key=q 1s..11s n=1
20s
	20s first fired key=p 0s..10s n=0 timer -> out "p"
	20s last waiting 10s..15s n=1 timer
	20s count waiting 10s..15s n=1 timer
	20s first suppressed 10s..15s n=2 timer
	20s last waiting 10s..15s n=2 timer
	20s count fired key=q 1s..11s n=1 of 1 timer -> out "q"
	20s last fired 10s..15s n=2 of 1 timer -> out ["q","1"]
`},
		{"of what is incomplete, and of any", `
rules:
  - name: half
    absent: {within: 10s, key: event.data.k, clauses: {x: {on: a}, y: {on: b}}}
    throttle: {every: 20s, take: last}
    publish: {type: out, data: ["${{ key }}", "${{ missing }}", "${{ window.count }}"]}
  - name: any
    any: {clauses: {x: {on: a}, y: {on: b}}}
    throttle: {every: 20s, take: last, key: event.data.k}
    publish: {type: out, data: ["${{ key }}", "${{ clause }}", "${{ map(matches, .type) }}"]}
`, `
1s a/1 {"k": 1}
	1s half waiting key=1 1s..11s n=1
	1s any waiting key=1 1s..21s n=1
2s b/2 {"k": 2}
	2s half waiting key=2 2s..12s n=1
	2s any waiting key=2 2s..22s n=1
13s b/3 {"k": 1}
	13s half waiting 11s..31s n=1 timer
	13s half waiting 11s..31s n=2 timer
	13s half waiting key=1 13s..23s n=1
	13s any waiting key=1 1s..21s n=2
31s
	31s any fired key=1 1s..21s n=2 of x:1 y:3 timer -> out ["1","y",["a","b"]]
	31s any fired key=2 2s..22s n=1 of y:2 timer -> out ["2","y",["b"]]
	31s half waiting 11s..31s n=3 timer
	31s half fired 11s..31s n=3 of x:1 y:2 y:3 timer -> out ["1",["x"],1]
`},
		{"of a shadow", `
rules:
  - {name: r, shadow: true, on: a, throttle: {every: 10s, take: {count: 2}}, set: {n: 1}}
  - {name: s, shadow: true, on: a, throttle: {every: 10s, take: first}, set: {n: 1}}
  - {name: sees, on: b, condition: has(kv.n), publish: {type: out}}
`, `
1s a/1
	1s r waiting 1s..11s n=1
	1s s shadowed 1s..11s n=1 of 1 set n=1
2s a/2
	2s r shadowed 1s..11s n=2 of 1 2 set n=1
	2s s suppressed 1s..11s n=2
3s b
`},
		{"a throttle that ends when its next match does is over", `
rules:
  - name: r
    absent: {on: a, within: 10s, key: event.data.k, expect: [p]}
    throttle: {every: 5s, take: first}
    publish: {type: out, data: "${{ key }}"}
`, `
5s a/1 {"k": "q"}
	5s r waiting key=q 5s..15s n=1
16s
	16s r fired key=p 0s..10s n=0 timer -> out "p"
	16s r fired key=q 5s..15s n=1 of 1 timer -> out "q"
`},
		{"full for what a timer matched", `
rules:
  - name: r
    max_windows: 2
    absent: {on: a, within: 10s, key: event.data.k, expect: [p, q]}
    throttle: {key: key, every: 1m, take: last}
    publish: {type: out, data: "${{ key }}"}
`, `
10s a/1 {"k": 1}
	10s r waiting key=p 10s..1m10s n=1 timer
	10s r waiting key=q 10s..1m10s n=1 timer
	10s r full key=1
1m10s
	1m10s r fired key=p 10s..1m10s n=1 timer -> out "p"
	1m10s r fired key=q 10s..1m10s n=1 timer -> out "q"
`},
	})
}

func TestTooLargeToKeep(t *testing.T) {
	t.Parallel()
	f := newFolder(t, `
rules:
  - {name: keeps, all: {within: 1m, clauses: {x: {on: a}, y: {on: b}}}, publish: {type: out, data: "${{ events.x.data }}"}}
  - {name: needs-less, all: {within: 1m, clauses: {x: {on: a}, y: {on: b}}}, publish: {type: out, data: "${{ events.x.data.n }}"}}
  - {name: fires, on: a, throttle: {every: 1m, take: first}, publish: {type: out, data: "${{ event.data.n }}"}}
`)
	got := f.line(`1s a/1 {"n": 1, "text": "` + strings.Repeat("x", 64<<10) + `"}`)
	want := []string{
		"1s keeps failed err rules/r.yml:3:50: the event is too large to be kept in a window",
		"1s needs-less waiting 1s..1m1s n=1",
		"1s fires fired 1s..1m1s n=1 of 1 -> out 1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
