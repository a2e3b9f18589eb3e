// Command chaos runs load against real jet-bus and jet-runner processes and real SSH servers, breaks
// them by a seeded plan, and then checks from outside that nothing was lost, doubled or done twice:
//
//	go run ./test/chaos -kills 1000             # until a thousand kills are done
//	go run ./test/chaos -for 60s -seed 7        # a minute, the faults of an earlier run
//	go run ./test/chaos -faults kill-bus,stop-runner -kills 100 -json
//
// It needs root and Linux, sshd, ip and mkfs.ext4. Everything it starts lives in namespaces of its own
// (processes, mounts, network), which end with it, however it ends: nothing is left behind but the
// directory of the run. That is removed after a run that found nothing; -keep keeps it.
//
// # The faults
//
// jet-bus, runners and SSH servers are killed; jet-bus and runners are asked to stop, and are frozen for
// longer and for shorter than the lease; a runner's network is cut and healed; the disk of the store is
// filled and freed; everything is killed at once. The clock that a process sees jumps by minutes, hours
// and days: the binaries are built with a runtime whose wall clock has an offset, read from a file of
// each process, while the monotonic clock stays as it is. The machine's clock is never touched.
//
// A seed gives the same faults at the same times, and the same events; what they meet differs, as far
// as processes on a busy machine do.
//
// # What is checked
//
// Every event that was answered for is on EVENTS, at the sequence that was answered. Each has exactly
// the jobs that the rules say, every job ends, its attempts are counted without gaps, its results are
// there once, in order, and none is stored while another attempt holds the job. A host's lock changes
// hands only when its job has ended. The commands on the hosts leave marks in a journal, whose lines are
// compared with the records: none without an attempt, none missing for a result, and no two jobs on a
// host at a time. See allowance in marks.go for what is fenced by nobody and is allowed to end late.
//
// The rules that remember (two events by key, every third event of a key, an event that a rule
// publishes, an absence) are worked out once more from what is stored: each firing is recorded once, at
// the event that it should be at, with its one job or event, and no other is.
//
// The exit code is 1 when something is broken; the report says what, and where the logs, the store and
// the evidence are.
package main
