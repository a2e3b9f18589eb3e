// Package launch turns a [conn.Cmd] into what a POSIX host can start through a
// shell: the transports that cannot start a process themselves (SSH), or that
// start it as another user (sudo), share it.
//
// A small fixed script runs first. It reports its process group, so that the
// whole group can be signalled from outside later, changes the directory, and
// takes environment variables from its standard input (a process list never
// shows them). Then it replaces itself with a command that is given an input;
// any other command it runs on a lifeline, which kills it when the connection
// to the one who started it is lost.
package launch
