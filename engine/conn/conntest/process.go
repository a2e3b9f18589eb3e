package conntest

import (
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Alive reports whether a process of this machine runs; one that is only waited
// for by its parent does not.
func Alive(t testing.TB, pid int) bool {
	t.Helper()

	out, _ := exec.CommandContext(t.Context(), "ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output() //nolint:gosec // a number
	state := strings.TrimSpace(string(out))
	return state != "" && !strings.HasPrefix(state, "Z")
}

// Gone waits until processes of this machine, given by their ids as text, have
// ended. It fails the test for those that live on.
func Gone(t testing.TB, within time.Duration, pids string) {
	t.Helper()
	if strings.TrimSpace(pids) == "" {
		t.Fatal("no process ids to wait for")
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(within)
	for text := range strings.FieldsSeq(pids) {
		pid, err := strconv.Atoi(text)
		check(t, err)
		for Alive(t, pid) {
			if time.Now().After(deadline) {
				t.Errorf("process %d lives on after %s", pid, within)
				break
			}
			<-tick.C
		}
	}
}

// Group lists the processes of a process group of this machine.
func Group(t testing.TB, pgid int) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ps", "-e", "-o", "pgid=,pid=,stat=,args=").Output()
	check(t, err)
	var members []string
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) >= 3 && f[0] == strconv.Itoa(pgid) && !strings.HasPrefix(f[2], "Z") {
			members = append(members, strings.Join(f[1:], " "))
		}
	}
	return members
}
