// Package plans reads what the rules of a content directory would run: playbooks
// and inventories. So their faults are told before an event comes, and it is known
// before a job runs which hosts it will touch:
//
//	p, err := plans.Read(ctx, dir, set)
//	hosts := p.Hosts(action)
//
// It runs nothing: an inventory that is a program says which hosts there are only
// to the runner.
package plans
