package rules_test

import "testing"

func TestForms(t *testing.T) {
	t.Parallel()
	runFolds(t, []foldCase{
		{"single", `
rules:
  - {name: r, on: a, condition: event.data.n > 1, publish: {type: out, data: "${{ event.data.n }}"}}
`, `
1s a {"n": 1}
2s a {"n": 2}
	2s r fired -> out 2
3s a {}
4s b {}
5s a {"n": "x"}
	5s r failed because event.data.n > 1 err rules/r.yml:3:33: condition: > does not go between text and a number
explain 6s a {"n": 1}
	6s r not_fired because event.data.n > 1
explain 6s a {}
	6s r unknown because event.data.n > 1 lacks event.data.n
explain 6s b {}
	6s r not_candidate
`},
		{"any", `
rules:
  - name: r
    any: {clauses: {x: {on: a, condition: event.data.n > 1}, y: {on: [a, b]}}}
    publish: {type: out, data: "${{ clause }}"}
`, `
1s a {"n": 2}
	1s r fired -> out "x"
2s a {"n": 1}
	2s r fired -> out "y"
3s b
	3s r fired -> out "y"
`},
		{"all", `
rules:
  - name: r
    all:
      within: 10s
      key: event.data.k
      clauses: {x: {on: a}, y: {on: b, key: event.data.other}}
    publish: {type: out, data: ["${{ key }}", "${{ events.x.id }}", "${{ events.y.data.other }}", "${{ event.id }}", "${{ window.count }}"]}
`, `
1s a/1 {"k": "p"}
	1s r waiting key=p 1s..11s n=1
2s b/2 {"other": 7}
	2s r waiting key=7 2s..12s n=1
3s a/3 {"k": "p"}
	3s r waiting key=p 1s..11s n=2
explain 4s a/4 {"k": "p"}
	4s r waiting key=p 1s..11s n=3 of x:4 without y
3s a/3 {"k": "p"}
	3s r waiting key=p 1s..11s n=2
10.999999999s b/5 {"other": "p"}
	10.999999999s r fired key=p 1s..11s n=3 of x:3 y:5 -> out ["p","3","p","5",3]
12s a/6 {"k": "7"}
	12s r expired key=7 2s..12s n=1 of y:2 without x timer
	12s r waiting key=7 12s..22s n=1
13s a/7 {}
	13s r unknown because x: event.data.k lacks event.data.k
14s a/8 {"k": []}
	14s r failed because x: event.data.k err rules/r.yml:6:12: key: the key is a list, not text
22s
	22s r expired key=7 12s..22s n=1 of x:6 without y timer
30s
`},
		{"all of one type", `
rules:
  - name: r
    all: {within: 10s, clauses: {x: {on: a}, y: {on: a, condition: event.data.n > 1}}}
    publish: {type: out, data: ["${{ events.x.id }}", "${{ events.y.id }}"]}
`, `
1s a/1 {"n": 2}
	1s r waiting 1s..11s n=1
1s a/1 {"n": 2}
	1s r waiting 1s..11s n=1
2s a/2 {"n": 1}
	2s r waiting 1s..11s n=2
3s a/3 {"n": 2}
	3s r fired 1s..11s n=3 of x:2 y:3 -> out ["2","3"]
4s a/4 {"n": 1}
	4s r waiting 4s..14s n=1
`},
		{"all where", `
rules:
  - name: r
    all: {within: 10s, where: events.x.data.n < events.y.data.n, clauses: {x: {on: a}, y: {on: b}}}
    publish: {type: out, data: ["${{ events.x.id }}", "${{ events.y.id }}"]}
`, `
1s a/1 {"n": 5}
	1s r waiting 1s..11s n=1
2s b/2 {"n": 3}
	2s r waiting 1s..11s n=2 because events.x.data.n < events.y.data.n
3s b/3
	3s r waiting 1s..11s n=3 because events.x.data.n < events.y.data.n lacks events.y.data
4s a/4 {"n": 1}
	4s r waiting 1s..11s n=4 because events.x.data.n < events.y.data.n lacks events.y.data
5s b/5 {"n": "z"}
	5s r failed 1s..11s n=5 because events.x.data.n < events.y.data.n err rules/r.yml:4:31: where: < does not go between a number and text
6s b/6 {"n": 3}
	6s r fired 1s..11s n=6 of x:4 y:6 -> out ["4","6"]
`},
		{"absent", `
rules:
  - name: r
    absent: {on: a, key: event.data.h, within: 10s, expect: [w1, w2]}
    publish: {type: out, data: ["${{ key }}", "${{ events.last.id ?? \"none\" }}", "${{ window.count }}"]}
`, `
1s a/1 {"h": "w1"}
	1s r waiting key=w1 1s..11s n=1
2s a/2 {"h": "w3"}
	2s r waiting key=w3 2s..12s n=1
10s
	10s r fired key=w2 0s..10s n=0 timer -> out ["w2","none",0]
10s a/1 {"h": "w1"}
	10s r waiting key=w1 1s..11s n=1
11s a/3 {"h": "w1"}
	11s r fired key=w1 1s..11s n=1 of 1 timer -> out ["w1","1",1]
	11s r waiting key=w1 11s..21s n=1
40s
	40s r fired key=w3 2s..12s n=1 of 2 timer -> out ["w3","2",1]
	40s r fired key=w1 11s..21s n=1 of 3 timer -> out ["w1","3",1]
41s
`},
		{"absent from the beginning", `
rules:
  - {name: r, absent: {on: a, within: 10s}, publish: {type: out, data: "${{ has(events.last) }}"}}
`, `
10s
	10s r fired 0s..10s n=0 timer -> out false
21s
22s a/1
	22s r waiting 22s..32s n=1
`},
		{"absent after", `
rules:
  - name: r
    absent:
      on: done
      key: event.data.id
      within: 10s
      after: {on: [started, both], key: event.data.id}
    publish: {type: out, data: ["${{ key }}", "${{ events.after.data.who }}"]}
`, `
1s done {"id": 1}
2s started/2 {"id": 1, "who": "me"}
	2s r waiting key=1 2s..12s n=1
3s started/3 {"id": 2, "who": "you"}
	3s r waiting key=2 3s..13s n=1
4s done {"id": 1}
	4s r not_fired key=1 2s..12s n=1 of after:2
5s started/5 {"id": 2, "who": "she"}
	5s r waiting key=2 5s..15s n=1
15s done {"id": 2}
	15s r fired key=2 5s..15s n=1 of after:5 timer -> out ["2","she"]
explain 16s done {"id": 2}
	16s r not_fired
`},
		{"incomplete", `
rules:
  - name: r
    absent: {within: 10s, key: event.data.k, clauses: {x: {on: a}, y: {on: b}, z: {on: c}}}
    publish: {type: out, data: {missing: "${{ missing }}", x: "${{ events.x.id ?? \"-\" }}", key: "${{ key }}"}}
`, `
1s a/1 {"k": 1}
	1s r waiting key=1 1s..11s n=1
2s b/2 {"k": 2}
	2s r waiting key=2 2s..12s n=1
3s c/3 {"k": 1}
	3s r waiting key=1 1s..11s n=2
4s b/4 {"k": 1}
	4s r not_fired key=1 1s..11s n=3 of x:1 z:3 y:4
12s
	12s r fired key=2 2s..12s n=1 of y:2 without x,z timer -> out {"key":"2","missing":["x","z"],"x":"-"}
`},
		{"full", `
rules:
  - name: all
    max_windows: 1
    all: {within: 10s, key: event.data.k, clauses: {x: {on: a}, y: {on: b}}}
    publish: {type: out}
  - name: absent
    max_windows: 1
    absent: {on: a, key: event.data.k, within: 10s}
    publish: {type: out}
  - name: first
    max_windows: 1
    on: a
    throttle: {key: event.data.k, every: 10s, take: first}
    publish: {type: out}
  - name: last
    max_windows: 1
    on: a
    throttle: {key: event.data.k, every: 10s, take: last}
    publish: {type: out}
  - name: both
    max_windows: 2
    on: a
    throttle: {key: event.data.k, every: 10s, take: {count: 2}}
    publish: {type: out}
`, `
1s a/1 {"k": 1}
	1s all waiting key=1 1s..11s n=1
	1s absent waiting key=1 1s..11s n=1
	1s first fired key=1 1s..11s n=1 of 1 -> out null
	1s last waiting key=1 1s..11s n=1
	1s both waiting key=1 1s..11s n=1
2s a/2 {"k": 2}
	2s all full key=2
	2s absent full key=2
	2s first full key=2
	2s last full key=2
	2s both waiting key=2 2s..12s n=1
3s a/3 {"k": 3}
	3s all full key=3
	3s absent full key=3
	3s first full key=3
	3s last full key=3
	3s both full key=3
11s a/4 {"k": 3}
	11s all expired key=1 1s..11s n=1 of x:1 without y timer
	11s absent fired key=1 1s..11s n=1 of 1 timer -> out null
	11s last fired key=1 1s..11s n=1 of 1 timer -> out null
	11s all waiting key=3 11s..21s n=1
	11s absent waiting key=3 11s..21s n=1
	11s first fired key=3 11s..21s n=1 of 4 -> out null
	11s last waiting key=3 11s..21s n=1
	11s both waiting key=3 11s..21s n=1
`},
		{"missed", `
rules:
  - name: tell
    missed: report
    absent: {on: a, within: 10s, key: event.data.k}
    publish: {type: out}
  - name: do
    missed: fire
    absent: {on: a, within: 10s, key: event.data.k}
    publish: {type: out}
  - name: last
    missed: report
    on: a
    throttle: {every: 10s, take: last}
    publish: {type: out}
  - name: all
    missed: report
    all: {within: 10s, clauses: {x: {on: a}, y: {on: b}}}
    publish: {type: out}
`, `
1s a/1 {"k": 1}
	1s tell waiting key=1 1s..11s n=1
	1s do waiting key=1 1s..11s n=1
	1s last waiting 1s..11s n=1
	1s all waiting 1s..11s n=1
1m11s
	1m11s tell fired key=1 1s..11s n=1 of 1 timer -> out null
	1m11s do fired key=1 1s..11s n=1 of 1 timer -> out null
	1m11s last fired 1s..11s n=1 of 1 timer -> out null
	1m11s all expired 1s..11s n=1 of x:1 without y timer
2m a/2 {"k": 1}
	2m0s tell waiting key=1 2m0s..2m10s n=1
	2m0s do waiting key=1 2m0s..2m10s n=1
	2m0s last waiting 2m0s..2m10s n=1
	2m0s all waiting 2m0s..2m10s n=1
3m10.000000001s
	3m10.000000001s tell missed key=1 2m0s..2m10s n=1 of 2 timer
	3m10.000000001s do fired key=1 2m0s..2m10s n=1 of 2 timer -> out null
	3m10.000000001s last missed 2m0s..2m10s n=1 of 2 timer
	3m10.000000001s all missed 2m0s..2m10s n=1 of x:2 without y timer
4m
	4m0s tell fired key=1 3m10.000000001s..3m20.000000001s n=1 of 2 timer -> out null
`},
		{"time does not go back", `
rules:
  - {name: r, absent: {on: a, within: 10s}, publish: {type: out}}
`, `
5s a/1
	5s r waiting 5s..15s n=1
2s a/2
	5s r waiting 5s..15s n=1
`},
	})
}

func TestSteps(t *testing.T) {
	t.Parallel()
	runFolds(t, []foldCase{
		{"stop, shadow, otherwise, disabled, depth", `
rules:
  - {name: low, priority: -1, on: a, publish: {type: out}}
  - {name: stops, on: a, stop: true, condition: event.data.n > 1, throttle: {every: 1m, take: first}, publish: {type: out}}
  - {name: shade, priority: 2, shadow: true, stop: true, on: a, publish: {type: out}, set: {x: 1}}
  - {name: off, enabled: false, on: a, publish: {type: out}}
  - {name: other, otherwise: true, on: [a, b], publish: {type: out}}
`, `
1s a {"n": 1}
	1s shade shadowed -> out null set x=1
	1s low fired -> out null
2s a {"n": 2}
	2s shade shadowed -> out null set x=1
	2s stops fired 2s..1m2s n=1 of 2 -> out null
3s a/3 {"n": 3}
	3s shade shadowed -> out null set x=1
	3s stops suppressed 2s..1m2s n=2
explain 4s a/4 {"n": 4}
	4s shade shadowed -> out null set x=1
	4s stops suppressed 2s..1m2s n=3 of 2
	4s off disabled
	4s low stopped by stops
	4s other stopped by stops
explain 4s a/4 {"n": 0}
	4s shade shadowed -> out null set x=1
	4s stops not_fired because event.data.n > 1
	4s off disabled
	4s low fired -> out null
	4s other covered
4s b
	4s other fired -> out null
5s b depth=16 {}
	5s other fired -> out null
6s b depth=17 {}
	6s other looped
`},
		{"facts", `
rules:
  - {name: counts, on: a, set: {n: "${{ (kv?.n ?? 0) + 1 }}", "of.${{ event.id }}": true}}
  - {name: reads, on: a, condition: kv.n > 1, set: {who: reads}}
  - {name: also, on: a, set: {who: also}}
  - {name: over, priority: 1, on: b, set: {who: over, n: null}}
  - {name: under, on: b, set: {who: under}}
`, `
1s a/1
	1s counts fired set n=1 set of.1=true
	1s also fired set who=also
explain 2s a/2
	2s over not_candidate
	2s counts fired set n=2 set of.2=true
	2s reads not_fired because kv.n > 1
	2s also fired set who=also
	2s under not_candidate
2s a/2
	2s counts fired set n=2 set of.2=true
	2s also fired set who=also
3s b
	3s over fired set n=<nil> set who=over
	3s under fired set who=under
explain 4s a
	4s over not_candidate
	4s counts fired set n=1 set of.3=true
	4s reads unknown because kv.n > 1 lacks kv.n
	4s also fired set who=also
	4s under not_candidate
`},
		{"facts of timers are seen by the event they ended before", `
rules:
  - {name: silent, absent: {on: a, within: 10s}, set: {silent: true}}
  - {name: later, absent: {on: a, within: 11s}, publish: {type: out, data: "${{ kv.silent }}"}}
  - {name: same, absent: {on: a, within: 10s}, publish: {type: out, data: "${{ kv?.silent ?? false }}"}}
  - {name: tells, on: b, publish: {type: out, data: "${{ kv.silent }}"}}
`, `
11s b
	11s silent fired 0s..10s n=0 timer set silent=true
	11s same fired 0s..10s n=0 timer -> out false
	11s later fired 0s..11s n=0 timer -> out true
	11s tells fired -> out true
`},
	})
}
