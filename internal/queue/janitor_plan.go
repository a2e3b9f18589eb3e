package queue

import (
	"cmp"
	"slices"

	"github.com/jet-bus/jet-bus/internal/bus"
)

// What a purge removes, as the log counts it.
const (
	removedLocks   = "purges_of_locks"
	removedResults = "purges_of_results"
	removedJobs    = "purges_of_jobs"
	removedStates  = "purges_of_states"
)

// steps is into how many purges a range of the stream is divided: purges are cheap
// by range and not by job, and yet no more is to go than has to.
const steps = 32

// keptJob is what the janitor knows of a job.
type keptJob struct {
	id string
	// first and last are the sequences of its first and its last revision,
	// revisions is how many are stored.
	first, last uint64
	revisions   int
	state       State
	// tried says that a runner had it, so that there may be results.
	tried bool
	// event is the sequence of the event that caused it, 0 without one.
	event uint64
}

// purge is a part of RUNS that can go: what matches one of the filters and has a
// sequence below before, or any if that is zero.
type purge struct {
	what    string
	filters []string
	before  uint64
	// look says that much may be gone after it.
	look bool
}

// planSweep lists what can be removed from RUNS, in the order in which it should be:
// first locks that nobody holds, then the results of old jobs, then old jobs
// altogether, then younger results, then what is left but for last states. A
// job is old when its event is stored no more, that is, when it is below oldest.
//
// Whatever belongs to a job that has not ended stays, and so does the last state of
// a job that is not old. Nothing goes that is younger than the last state that was
// read: a replica that is behind may not have told of all jobs.
func planSweep(jobs []keptJob, oldest uint64) []purge {
	jobs = slices.SortedFunc(slices.Values(jobs), func(a, b keptJob) int { return cmp.Compare(a.first, b.first) })
	end := uint64(1)
	for _, j := range jobs {
		end = max(end, j.last+1)
	}
	// A range can go up to the first job of which something has to stay: nothing of
	// it is before its first state.
	lockEnd, resultEnd, jobEnd := end, end, end
	for _, j := range jobs {
		if open := !j.state.Terminal(); open {
			if j.state != Unapproved { // it holds nothing yet, and will take its locks later
				lockEnd = min(lockEnd, j.first)
			}
			if j.tried {
				resultEnd = min(resultEnd, j.first)
			}
		}
		if !j.removable(oldest) {
			jobEnd = min(jobEnd, j.first)
		}
	}
	plan := []purge{{what: removedLocks, filters: []string{bus.AllLocks}, before: lockEnd, look: true}}
	results := []string{bus.AllResults, bus.AllHeartbeats}
	plan = append(plan, ranges(removedResults, results, jobs, 0, jobEnd)...)
	plan = append(plan, ranges(removedJobs, []string{bus.AllStates}, jobs, 0, jobEnd)...)
	plan = append(plan, ranges(removedResults, results, jobs, jobEnd, resultEnd)...)
	// What the ranges did not reach goes job by job.
	for _, j := range jobs {
		all := []string{bus.AllOfJob(j.id)}
		switch {
		case j.removable(oldest) && j.last >= jobEnd:
			plan = append(plan, purge{what: removedJobs, filters: all})
		case j.state.Terminal() && !j.removable(oldest) && j.revisions > 1:
			plan = append(plan, purge{what: removedStates, filters: all, before: j.last})
		}
	}
	return plan
}

// removable reports whether nothing of the job has to stay.
func (j keptJob) removable(oldest uint64) bool { return j.state.Terminal() && j.event < oldest }

// ranges are the purges that remove what matches filters below end, in steps from
// the job that is the first at or after start.
func ranges(what string, filters []string, jobs []keptJob, start, end uint64) []purge {
	var firsts []uint64
	for _, j := range jobs {
		if j.first > start && j.first < end {
			firsts = append(firsts, j.first)
		}
	}
	var list []purge
	for i := 1; i < steps; i++ {
		if n := len(firsts) * i / steps; n > 0 && (len(list) == 0 || list[len(list)-1].before != firsts[n]) {
			list = append(list, purge{what: what, filters: filters, before: firsts[n], look: true})
		}
	}
	return append(list, purge{what: what, filters: filters, before: end, look: true})
}
