package rules

// Function describes something that expressions of rules can use: a function, or
// an operator.
type Function struct {
	// Name is what rules call it.
	Name string
	// Signature is how it is written, with the kind of its result.
	Signature string
	// Text says in Markdown what it does.
	Text string
	// Examples show it; they are tests too.
	Examples []Example
}

// Example is an expression with its result.
type Example struct {
	Expr string
	// Data is the payload of the event as JSON; "" if it does not matter.
	Data string
	// Result is what the expression gives, as JSON, or "unknown".
	Result string
}

// FunctionGroup is what expressions can use for one purpose.
type FunctionGroup struct {
	Title     string
	Functions []Function
}

type functionGroup struct {
	title     string
	functions []function
}

func functionGroups() []functionGroup {
	return []functionGroup{
		{"What is there", []function{{Function: Function{
			"has", "has(path) bool", "Whether the event has what the path names; null counts.",
			[]Example{
				{`has(event.data.release.tag)`, `{"release": {"tag": null}}`, `true`},
				{`has(event.data.release.tag)`, `{}`, `false`},
			},
		}}}},
		{"Text", append(textFunctions(), wholeTextFunctions()...)},
		{"Patterns", patternFunctions()},
		{"Numbers", numberFunctions()},
		{"Times", timeFunctions()},
		{"Lists and mappings", append(listFunctions(), orderFunctions()...)},
		{"Lists, element by element", predicateFunctions()},
		{"Versions and networks", versionFunctions()},
		{"JSON", jsonFunctions()},
	}
}

// Functions returns every function that a rule can call.
func Functions() []Function {
	var all []Function
	for _, g := range FunctionGroups() {
		all = append(all, g.Functions...)
	}
	return all
}

// FunctionGroups returns what [Functions] does, by purpose.
func FunctionGroups() []FunctionGroup {
	var groups []FunctionGroup
	for _, g := range functionGroups() {
		group := FunctionGroup{Title: g.title}
		for i := range g.functions {
			group.Functions = append(group.Functions, g.functions[i].Function)
		}
		groups = append(groups, group)
	}
	return groups
}

// Operators returns the operators of expressions, those that bind least first.
func Operators() []Function {
	return []Function{
		{"|", "value | function(...)", "The function with the value as its first argument.", []Example{
			{`event.data.hosts | sort() | join("+")`, `{"hosts": ["b", "a"]}`, `"a+b"`},
		}},
		{"? :", "condition ? value : value", "The first value if the condition holds, else the second; also written `if condition { value } else { value }`.", []Example{
			{`event.data.n > 3 ? "many" : "few"`, `{"n": 5}`, `"many"`},
			{`if event.data.n > 3 { "many" } else { "few" }`, `{"n": 1}`, `"few"`},
		}},
		{"||", "a || b", "Whether one of both holds, or both; also `or`. An unknown side does not matter if the other one is true.", []Example{
			{`event.data.n == 5 || event.data.gone`, `{"n": 5}`, `true`},
			{`event.data.n == 6 || event.data.gone`, `{"n": 5}`, `unknown`},
		}},
		{"&&", "a && b", "Whether both hold; also `and`. An unknown side does not matter if the other one is false.", []Example{
			{`event.data.n > 3 && event.data.n < 9`, `{"n": 5}`, `true`},
		}},
		{"== !=", "a == b, a != b", "Whether values are equal, or not: numbers by value, lists and mappings by what is in them.", []Example{
			{`event.data.labels == ["web", "prod"]`, `{"labels": ["web", "prod"]}`, `true`},
			{`event.data.n != 5.0`, `{"n": 5}`, `false`},
			{`event.data.gone != 5`, `{"n": 5}`, `unknown`},
		}},
		{"< <= > >=", "a < b, a <= b, a > b, a >= b", "The order of numbers, texts, times, durations and versions; `1 <= n < 9` for both sides.", []Example{
			{`1 <= event.data.n < 9`, `{"n": 5}`, `true`},
		}},
		{"in", "value in list, value not in list", "Whether the value is in a list, or is a key of a mapping.", []Example{
			{`event.data.env in ["prod", "stage"]`, `{"env": "prod"}`, `true`},
			{`"site" not in event.data.labels`, `{"labels": {"env": "prod"}}`, `true`},
		}},
		{"contains", "text contains part", "Whether the part is in the text; `not contains` is the contrary of it, as of the three below.", []Example{
			{`event.data.line contains "error"`, `{"line": "an error"}`, `true`},
		}},
		{"startsWith", "text startsWith part", "Whether the text begins so.", []Example{
			{`event.data.ref startsWith "refs/tags/"`, `{"ref": "refs/tags/v1"}`, `true`},
		}},
		{"endsWith", "text endsWith part", "Whether the text ends so.", []Example{
			{`event.data.name not endsWith ".rpm"`, `{"name": "app.deb"}`, `true`},
		}},
		{"matches", "text matches pattern", "Whether the regular expression fits anywhere in the text. It must stand in the rule as a string.", []Example{
			{`event.data.tag matches "^v[0-9]+"`, `{"tag": "v2.1"}`, `true`},
		}},
		{"..", "from..to", "The list of the whole numbers from one to the other.", []Example{{`1..4`, ``, `[1,2,3,4]`}}},
		{"+ -", "a + b, a - b", "Sum and difference of numbers, times and durations; `+` also puts texts together.", []Example{
			{`"v" + event.data.tag`, `{"tag": "1.2"}`, `"v1.2"`},
			{`now - duration("30m")`, ``, `"2026-03-02T09:30:00Z"`},
		}},
		{"* / % **", "a * b, a / b, a % b, a ** b", "Product, quotient (which has a fraction), remainder of whole numbers, and power.", []Example{
			{`event.data.n / 2`, `{"n": 5}`, `2.5`}, {`event.data.n % 2`, `{"n": 5}`, `1`}, {`2 ** 3`, ``, `8`},
		}},
		{"!", "!a", "Whether it does not hold; also `not`. The contrary of unknown is unknown.", []Example{
			{`!event.data.draft`, `{"draft": false}`, `true`}, {`!event.data.gone`, `{}`, `unknown`},
		}},
		{"??", "a ?? b", "The first value, or the second one if the first is not there or null.", []Example{
			{`event.data.env ?? "prod"`, `{}`, `"prod"`},
		}},
		{"?:", "a ?: b", "The first value if it is true, else the second.", []Example{
			{`event.data.force ?: event.data.n > 3`, `{"force": false, "n": 5}`, `true`},
		}},
		{".", "a.b, a[\"b\"], a[0], a?.b", "A member of a mapping, an element of a list (`[-1]` is the last). What is not there makes the clause unknown; after `?.` it is nil.", []Example{
			{`event.data.hosts[-1]`, `{"hosts": ["a", "b"]}`, `"b"`},
			{`event.data.hosts[2]`, `{"hosts": ["a", "b"]}`, `unknown`},
			{`event.data?.release == nil`, `{}`, `true`},
		}},
		{"[:]", "a[from:to]", "The part of a text or list from one position up to before another, counted from 0; negative ones count from the end.", []Example{
			{`event.data.sha[:7]`, `{"sha": "0123456789abcdef"}`, `"0123456"`},
		}},
	}
}
