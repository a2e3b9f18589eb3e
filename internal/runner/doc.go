// Package runner is the jet-runner process: it claims jobs, fetches the content
// they are pinned to, runs their playbooks, and puts every task's result back on
// the bus. It knows hosts; that a job exists at all is the queue's business.
package runner
