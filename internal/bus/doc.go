// Package bus is the client side of the bus: a NATS JetStream, embedded in
// jet-bus or external, that carries events, wakes runners and stores what jobs
// did. Everything that lives on it (streams, buckets, subjects) is named in one
// file, streams.go.
//
// A process connects once and shares the [Bus]:
//
//	b, err := bus.Connect(ctx, bus.Options{URL: url, CredsFile: "admin.creds"})
//	if err != nil {
//		return err
//	}
//	defer b.Close(ctx)
//	ack, err := b.PublishEvent(ctx, bus.ClassExternal, e)
//
// Writing is [Bus.Publish] (one message), [Bus.Send] (many, in order, without
// waiting for each), [Bus.PublishBatch] (all or nothing) and [Bus.PublishEvent] (a CloudEvent, retried until stored). A [Group] does
// the last for many senders at once, in fewer syncs. Whoever must not overwrite
// what it has not seen adds [ExpectSubjectSeq]. Reading is [Bus.Last] and
// [Bus.Get], which ask the leader and so are never stale, and [Bus.Tail], which
// gives a stream's history and then what follows, in order, each message once,
// without costing the server a consumer. What only one process may do at a time
// is done under [Bus.Hold].
//
// The package knows nothing of rules, jobs or hosts, and never links the
// server: that is package busserver.
package bus
