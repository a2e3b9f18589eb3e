package engine

import (
	"maps"
	"reflect"
)

// merge returns the variables of each item if the task may do all items at once, as
// if they were one: its module can, and nothing but the module's parameters depends
// on the item. Items that the task's condition is against are left out. A nil
// return means to go one by one, also where anything about the items is wrong: it
// is said then, of the item it belongs to.
func (x *execution) merge(list []any, vars map[string]any) []map[string]any {
	if _, can := x.module.New().(Merger); !can || len(list) < 2 || !x.collective() {
		return nil
	}
	var each []map[string]any
	for _, item := range list {
		itemVars := maps.Clone(vars)
		itemVars["item"] = item
		if x.condition != nil {
			ok, err := x.condition.Eval(itemVars)
			if err != nil {
				return nil
			}
			if !ok {
				continue
			}
		}
		each = append(each, itemVars)
	}
	if len(each) < 2 || !x.alike(each) {
		return nil
	}
	if _, ok := x.mergedModule(each); !ok {
		return nil
	}
	return each
}

// collective says whether nobody looks at the items one by one: no result is kept
// or judged for each, and a failure of one is not a reason to go on.
func (x *execution) collective() bool {
	return x.register == "" && x.changedWhen == nil && x.failedWhen == nil &&
		!x.set.ignoreErrors && x.skipIfExists == nil && x.set.delegateTo == nil
}

// alike says whether the user, the environment and the notifications are the same
// for all items.
func (x *execution) alike(each []map[string]any) bool {
	type around struct {
		become any
		env    map[string]string
		events []string
	}
	var first around
	for i, vars := range each {
		var a around
		b, err := x.become(vars, &place{name: x.host.host.Name, vars: vars})
		if err != nil {
			return false
		}
		a.become = b
		if a.env, err = x.set.environ.render(vars); err != nil {
			return false
		}
		for _, n := range x.notify {
			name, err := n.render("notify", vars)
			if err != nil {
				return false
			}
			a.events = append(a.events, name)
		}
		if i == 0 {
			first = a
		} else if !reflect.DeepEqual(a, first) {
			return false
		}
	}
	return true
}

// mergedModule returns the task's module with what all items ask for. ok is false
// where they do not go together, or one of them has a fault.
func (x *execution) mergedModule(each []map[string]any) (m Module, ok bool) {
	var all []Module
	for _, vars := range each {
		one, err := x.newModule(vars)
		if err != nil {
			return nil, false
		}
		all = append(all, one)
	}
	merger, can := all[0].(Merger)
	return all[0], can && merger.Merge(all[1:])
}
