package rules

// Spelling is something that the conditions of another program say, and how it is
// written here.
type Spelling struct {
	Theirs string
	Example
}

// AnsibleRulebook returns all that conditions of ansible-rulebook are made of.
func AnsibleRulebook() []Spelling {
	const data = `{"n": 5, "s": "web1.example.org", "list": [1, 5, 9], "hosts": [{"name": "web1", "load": 7}], "a": {"x/y": 1}}`
	return []Spelling{
		{"event.s == \"x\", !=, <, <=, >, >=", Example{`event.data.s != "x" && event.data.n >= 5`, data, `true`}},
		{"event.n + 1, -, *", Example{`event.data.n * 2 - 1`, data, `9`}},
		{"and, or, not", Example{`event.data.n > 3 and not (event.data.s == "x" or false)`, data, `true`}},
		{"event.n in [1, 5], not in", Example{`event.data.n in [1, 5] && event.data.n not in [2]`, data, `true`}},
		{"event.list contains 5, not contains", Example{`5 in event.data.list && 4 not in event.data.list`, data, `true`}},
		{"event.s contains \"web\" (text)", Example{`event.data.s contains "web" && event.data.s not contains "db"`, data, `true`}},
		{"event.x is defined", Example{`has(event.data.x)`, data, `false`}},
		{"event.x is not defined", Example{`!has(event.data.x)`, data, `true`}},
		{"event.s is match(\"web\")", Example{`regexp("^(?:web)", event.data.s)`, data, `true`}},
		{"event.s is match(\"WEB\", ignorecase=true)", Example{`regexp("(?i)^(?:WEB)", event.data.s)`, data, `true`}},
		{"event.s is search(\"example\")", Example{`regexp("example", event.data.s)`, data, `true`}},
		{"event.s is regex(\"[0-9]\")", Example{`event.data.s matches "[0-9]"`, data, `true`}},
		{"event.list is select(\">\", 8)", Example{`any(event.data.list, # > 8)`, data, `true`}},
		{"event.list is not select(\"==\", 3)", Example{`none(event.data.list, # == 3)`, data, `true`}},
		{"event.hosts is selectattr(\"name\", \"==\", \"web1\")", Example{`any(event.data.hosts, .name == "web1")`, data, `true`}},
		{"event.hosts is selectattr(\"name\", \"search\", \"^web\")", Example{`any(event.data.hosts, .name matches "^web")`, data, `true`}},
		{"event.hosts is selectattr(\"load\", \"in\", [7, 8])", Example{`any(event.data.hosts, .load in [7, 8])`, data, `true`}},
		{"event.a[\"x/y\"], event.list[-1]", Example{`event.data.a["x/y"] == 1 && event.data.list[-1] == 9`, data, `true`}},
	}
}

// StackStorm returns the operators of StackStorm's criteria.
func StackStorm() []Spelling {
	const data = `{"n": 5, "s": "Web1/eu", "list": ["A", "b"], "at": "2026-03-02T09:59:00Z",
  "disks": [{"name": "sda", "full": 95}, {"name": "sdb", "full": 10}]}`
	return []Spelling{
		{"equals, nequals", Example{`event.data.n == 5 && event.data.s != "x"`, data, `true`}},
		{"iequals", Example{`equalFold(event.data.s, "WEB1/EU")`, data, `true`}},
		{"lessthan, greaterthan", Example{`event.data.n < 6 && event.data.n > 4`, data, `true`}},
		{"matchwildcard (its * is ** here)", Example{`glob("Web**", event.data.s)`, data, `true`}},
		{"regex", Example{`regexp("[0-9]", event.data.s)`, data, `true`}},
		{"iregex", Example{`regexp("(?i)^WEB", event.data.s)`, data, `true`}},
		{"matchregex", Example{`regexp("^(?:Web)", event.data.s)`, data, `true`}},
		{"contains, ncontains (text)", Example{`event.data.s contains "eb1" && event.data.s not contains "db"`, data, `true`}},
		{"contains, ncontains (list)", Example{`"A" in event.data.list && "B" not in event.data.list`, data, `true`}},
		{"icontains (text)", Example{`lower(event.data.s) contains "web"`, data, `true`}},
		{"incontains (list)", Example{`none(event.data.list, equalFold(#, "c"))`, data, `true`}},
		{"startswith, endswith", Example{`event.data.s startsWith "Web" && event.data.s endsWith "eu"`, data, `true`}},
		{"istartswith, iendswith", Example{`lower(event.data.s) startsWith "web" && lower(event.data.s) endsWith "eu"`, data, `true`}},
		{"timediff_lt 300", Example{`age(event.data.at) < duration("300s")`, data, `true`}},
		{"timediff_gt 300", Example{`age(event.data.at) > duration("300s")`, data, `false`}},
		{"exists, nexists", Example{`has(event.data.s) && !has(event.data.x)`, data, `true`}},
		{"inside, ninside", Example{`event.data.n in [4, 5] && event.data.n not in [6]`, data, `true`}},
		{"search, condition any", Example{`any(event.data.disks, .name == "sda" && .full > 90)`, data, `true`}},
		{"search, condition all", Example{`all(event.data.disks, .name startsWith "sd" && .full > 90)`, data, `false`}},
		{"search, condition any2any", Example{`any(event.data.disks, .name == "sdc" || .full > 90)`, data, `true`}},
		{"search, condition all2any", Example{`all(event.data.disks, .name == "sdb" || .full > 90)`, data, `true`}},
	}
}
