package busserver

import (
	"slices"

	"github.com/nats-io/jwt/v2"
)

// Role says what whoever holds a credential may do.
type Role string

// The roles.
const (
	RoleAdmin     Role = "admin"     // everything: the operator's CLI
	RoleBus       Role = "bus"       // everything: jet-bus itself
	RoleRunner    Role = "runner"    // claims jobs and writes what became of them
	RolePublisher Role = "publisher" // stores events from outside, reads nothing
	RoleViewer    Role = "viewer"    // reads, changes nothing
)

// access is what a role may publish and subscribe to. {{name()}} stands for the
// name in the credential; the server fills it in.
type access struct {
	role     Role
	pub, sub []string
}

// roles gives the table of least privilege. Replies come to an inbox that role and
// name share with nobody, so that no one reads the replies to another; package
// bus subscribes to the same.
//
// To read a stream takes its direct get, its info, and for the newest word its
// leader's message get. To read an object takes an ordered consumer as well,
// since the client library reads objects that way.
func roles() []access {
	return []access{
		{
			role: RoleAdmin,
			pub:  []string{">"},
			sub:  []string{">"},
		},
		{
			role: RoleBus,
			pub:  []string{">"},
			sub:  []string{">"},
		},
		{
			role: RolePublisher,
			pub:  []string{"events.ext.>"},
			sub:  []string{"_INBOX_publisher_{{name()}}.>"},
		},
		{
			role: RoleRunner,
			pub: slices.Concat(
				[]string{
					// Take jobs, and answer for them, in both forms of an ack.
					"$JS.API.STREAM.INFO.JOBS",
					"$JS.API.CONSUMER.INFO.JOBS.*",
					"$JS.API.CONSUMER.MSG.NEXT.JOBS.*",
					"$JS.ACK.JOBS.>",
					"$JS.ACK.*.*.JOBS.>",
					// Write what becomes of them, and the locks they hold.
					"run.>",
					"lock.>",
					// Store the events that playbooks publish.
					"events.ext.>",
					// Keep what is too large for an event.
					"$O.outputs.>",
					// Say that it lives; only in its own name.
					"$KV.runners.{{name()}}",
					"$KV.runners.{{name()}}.>",
				},
				readStream("RUNS"),
				readBucket("runners"),
				readBucket("queues"),
				readBucket("config"),
				readBucket("control"),
				readObjects("bundles"),
				readStream("OBJ_outputs"),
			),
			sub: []string{"_INBOX_runner_{{name()}}.>", "cancel.>", "live.run.>"},
		},
		{
			role: RoleViewer,
			pub: slices.Concat(
				readStream("EVENTS"),
				readStream("RUNS"),
				readBucket("runners"),
				readBucket("queues"),
				readBucket("config"),
				readBucket("control"),
				readBucket("leases"),
				readObjects("bundles"),
				readStream("OBJ_outputs"),
				// What ordered rules decided, and what it follows from.
				readStream("DECISIONS"),
				readStream("OBJ_states"),
				readBucket("held"),
				readBucket("sources"),
				[]string{
					// How far the dispatcher and subscriptions are, and how many jobs wait.
					"$JS.API.CONSUMER.INFO.EVENTS.*",
					"$JS.API.STREAM.INFO.JOBS",
					"$JS.API.CONSUMER.INFO.JOBS.*",
					// How many messages to people wait, not what they say, and how full
					// the memory of deliveries is.
					"$JS.API.STREAM.INFO.NOTIFY",
					"$JS.API.STREAM.INFO.SEEN",
				},
			),
			sub: []string{"_INBOX_viewer_{{name()}}.>", "live.>"},
		},
	}
}

// readStream permits reading a stream without a consumer.
func readStream(name string) []string {
	return []string{
		"$JS.API.STREAM.INFO." + name,
		"$JS.API.STREAM.MSG.GET." + name,
		"$JS.API.DIRECT.GET." + name,
		"$JS.API.DIRECT.GET." + name + ".>",
	}
}

// readBucket permits reading a bucket, but not watching it: that takes a
// consumer.
func readBucket(name string) []string {
	return []string{
		"$JS.API.STREAM.INFO.KV_" + name,
		"$JS.API.STREAM.MSG.GET.KV_" + name,
		"$JS.API.DIRECT.GET.KV_" + name,
		"$JS.API.DIRECT.GET.KV_" + name + ".>",
	}
}

// readObjects permits reading an object store. Consumers may be made on the
// content of objects only. Where such a consumer delivers to is not in the
// server's power to restrict; that is one more reason for readers not to trust
// a message for its subject.
func readObjects(name string) []string {
	s := "OBJ_" + name
	return append(readStream(s),
		"$JS.API.CONSUMER.CREATE."+s+".*.$O."+name+".C.>",
		"$JS.API.CONSUMER.INFO."+s+".*",
		"$JS.API.CONSUMER.DELETE."+s+".*",
		"$JS.FC."+s+".>",
	)
}

// scope is the role as the account's JWT states it: what is signed with key has
// these permissions, whatever the user's own JWT says.
func (a access) scope(key string) *jwt.UserScope {
	s := jwt.NewUserScope()
	s.Key = key
	s.Role = string(a.role)
	s.Template.Pub.Allow = a.pub
	s.Template.Sub.Allow = a.sub
	return s
}
