package rules

// predicateFunctions are the expression language's own functions on lists. Its
// findLast and findLastIndex are left out: what is evaluated around them comes to
// wrong results (expr 1.17.8); last(filter(…)) does what they should.
func predicateFunctions() []function {
	const releases = `{"assets": [{"name": "app.deb", "size": 20}, {"name": "app.rpm", "size": 5}]}`
	var list []function
	for _, f := range []Function{
		{"all", "all(list, predicate) bool", "Whether the predicate holds for all elements; it does for an empty list.", []Example{
			{`all(event.data.assets, #.size > 1)`, releases, `true`},
		}},
		{"any", "any(list, predicate) bool", "Whether the predicate holds for an element.", []Example{
			{`any(event.data.assets, .name endsWith ".deb")`, releases, `true`},
		}},
		{"none", "none(list, predicate) bool", "Whether the predicate holds for no element.", []Example{
			{`none(event.data.assets, .size == 0)`, releases, `true`},
		}},
		{"one", "one(list, predicate) bool", "Whether the predicate holds for one element and no other.", []Example{
			{`one(event.data.assets, .size > 10)`, releases, `true`},
		}},
		{"count", "count(list, predicate) number", "For how many elements the predicate holds.", []Example{
			{`count(event.data.assets, .size > 1)`, releases, `2`},
		}},
		{"filter", "filter(list, predicate) list", "The elements for which the predicate holds.", []Example{
			{`filter(event.data.assets, .size > 10)[0].name`, releases, `"app.deb"`},
		}},
		{"map", "map(list, expression) list", "What the expression gives for each element.", []Example{
			{`map(event.data.assets, .name)`, releases, `["app.deb","app.rpm"]`},
		}},
		{"sum", "sum(list[, expression]) number", "The sum of a list of numbers, or of what the expression gives.", []Example{
			{`sum(event.data.assets, .size)`, releases, `25`},
		}},
		{"find", "find(list, predicate) value", "The first element for which the predicate holds, or nil.", []Example{
			{`find(event.data.assets, .size < 10).name`, releases, `"app.rpm"`},
		}},
		{"findIndex", "findIndex(list, predicate) number", "Where the first element stands for which the predicate holds, from 0, or nil.", []Example{
			{`findIndex(event.data.assets, .size < 10)`, releases, `1`},
		}},
		{"len", "len(value) number", "How many elements a list has, members a mapping, characters a text.", []Example{
			{`len(event.data.assets)`, releases, `2`},
		}},
		{"first", "first(list) value", "The first element, or nil if there is none.", []Example{
			{`first(event.data.assets).name`, releases, `"app.deb"`},
		}},
		{"last", "last(list) value", "The last element, or nil if there is none.", []Example{
			{`last(event.data.assets).name`, releases, `"app.rpm"`},
			{`last(filter(event.data.assets, .size > 10)).name`, releases, `"app.deb"`},
		}},
	} {
		list = append(list, function{Function: f})
	}
	return list
}
