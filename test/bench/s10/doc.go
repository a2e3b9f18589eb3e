// Command s10 measures ten small tasks ("S10") on hosts reached over SSH, with jet and beside it with
// Ansible and the plain OpenSSH client:
//
//	go run ./test/bench/s10 -install                    # 1, 10 and 50 hosts at 0, 20 and 100 ms
//	go run ./test/bench/s10 -hosts 10 -rtt 0,100 -peers jet,floor,tuned
//	go run ./test/bench/s10 -jet /tmp/jet-before        # two builds of jet beside each other
//	go run ./test/bench/s10 -warm                       # jobs over connections that are open already
//	go run ./test/bench/s10 -many 500                   # many hosts: failures, and memory for each
//
// It needs root and Linux, and for the peers the packages that -install installs on Debian and its
// relatives; without that flag it says what is missing.
//
// # The lab
//
// Every host is an OpenSSH server of its own in a network namespace: with its own address, host key,
// name, /root, /home, /tmp, /run and /etc. The tools run in a second network namespace. Between the
// two lies a veth pair (0 ms), or a pair of TUN devices whose IP packets are held for half the round
// trip each way, so that TCP's handshake, acknowledgements and slow start see the distance. All of it
// is taken away at the end, on an interrupt, and by the next run after a crash; -keep leaves it and
// says how to enter, -down takes it away.
//
// # How to read it
//
// A run of a tool is a fresh process with fresh connections. The first run finds hosts where nothing
// was done (seven changes), the second finds everything done (no change). Tools take turns, each
// begins on a disk with nothing left to write, and the figures are medians; what counts is the ratio of two tools in the same cell: on a machine that does
// other work as well, and that runs all the target hosts too, seconds are an upper bound. After each
// run the files on the hosts (paths, modes, owners, sizes, SHA-256) are compared with those of the
// first tool, and the second run must not have touched them: a difference ends the benchmark.
//
//   - jet: the tree's jet run; other: the binary of -jet.
//   - floor: ssh HOST true for each host at once, each a cold connection: what a tool that starts ssh
//     pays before it did anything.
//   - default: ansible-playbook as it comes (5 forks).
//   - tuned: with pipelining, kept connections and as many forks as hosts.
//   - mitogen: tuned, with Mitogen's strategy.
//
// "RTTs" is the slope of the wall time between the shortest and the longest round trip asked for: how
// many round trips the work waits for. CPU is that of the tool's processes on the controller, and
// memory the peak of what they hold for themselves (anonymous pages, shared ones counted once). The
// table says where the figures come from.
//
// # Open connections, and many hosts
//
// With -warm one process runs the playbook again and again over the connection pool of the runner, on
// hosts where everything is done, and rests between the jobs for longer than the pool trusts a
// connection unasked. "cold" is its first job, "warm" the median of those after it. "RTTs at most" is
// wall time by round trip, and "RTTs" the slope, which leaves out what takes time at any distance.
// The times of the tasks are those of the slowest host.
//
// With -many all names are addresses of one server and one host, each with a directory of its own.
// jet runs on 10, on 50 and on all of them: how many hosts fail, and how its memory grows.
package main
