// Package engine reads playbooks and runs them over the hosts of an inventory.
//
// [Parse] reads a playbook with all its roles and task files and reports every
// fault in them, each with its place, before anything is touched. [Run] then
// works through the plays: tasks in lock-step over the hosts (or, with the free
// strategy, every host on its own), hosts in parallel, one connection a host,
// handlers last. What happens is told to a callback as [Event] values, and summed
// up in a [Summary].
//
// In between stands the plan: the tasks of a play that tags leave, as a flat list
// with marks where blocks begin, go over to their rescue and end. Every host has a
// walk through it, which only ever leads forward.
//
// What a task does is a [Module]'s matter. Modules are handed to Parse and Run
// in a [Registry]; they see the host they work on as a [Host] and reach it only
// through the connection in it. The engine knows no bus, no terminal and no
// transport: those are its callers'.
package engine
