package launch

import "slices"

// guard is the part of a script that runs "$@" on a lifeline; _jet_g is the
// process group.
//
// Standard input is the lifeline: the one who started the command holds its other
// end, and so does nobody once that process or the connection is gone. A watcher
// in the background waits for that end, and then ends the group: SIGTERM, and
// SIGKILL two seconds later for what is left, itself included. It ignores, from
// its first moment, the signals that a group is sent; SIGVTALRM ends it when the
// command has ended: what the command left running is left alone. A process that
// leaves the group (setsid) is out of reach.
//
// The command has /dev/null for its input, and runs in a subshell, so that it is
// never taken for a builtin. The shell answers no signal but that of its child's
// end; what it says about signalled children is lost on purpose.
const guard = `exec 3<&0 4>&2 </dev/null 2>/dev/null
trap '' HUP INT QUIT PIPE ALRM TERM USR1 USR2
(
  while read -r _jet_l; do :; done
  trap '' VTALRM
  kill -s TERM -- "-$_jet_g"
  command -p sleep 2
  kill -s KILL -- "-$_jet_g"
) <&3 >/dev/null 3<&- 4>&- & _jet_w=$!
trap : HUP INT QUIT PIPE ALRM TERM USR1 USR2
(exec "$@") 2>&4 3<&- 4>&-; _jet_s=$?
kill -s VTALRM "$_jet_w"
wait "$_jet_w"
exit "$_jet_s"`

// Guard returns argv as it is run on a lifeline by the leader of a process group:
// the end of its standard input kills the group. The command reads an empty
// input.
func Guard(argv []string) []string {
	return slices.Concat([]string{"/bin/sh", "-c", "_jet_g=$$\n" + guard, "jet"}, argv)
}
