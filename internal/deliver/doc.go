// Package deliver hands events out: a subscription of subscriptions.yml ([Read]) names
// which events are sent to which HTTP server, as CloudEvents.
//
// A [Deliverer] delivers. Each subscription has a durable consumer on EVENTS, which is
// its whole position: nothing else grows however long a server is away. The server of
// the bus hands out no more events than the subscription sends at a time, one if their
// order is to be kept, to whichever jet-bus asks. Who has an event in hand keeps it
// until it was taken, was given up, or the process ends; it is acknowledged after that.
//
//	crash after                          what happens
//	the event was handed out             it is handed out again, 30 s later
//	it was taken, before the ack         it is sent again, with the same webhook-id
//	delivery.failed stored, before ack   it is sent again, or given up again: one event, by its id
//	a batch was handed out               nothing behind it goes out before it was handed out again
//	in force, before its consumer        a new subscription begins with the next life
//
// Who is frozen for longer than that, and goes on, may send again what another jet-bus
// has delivered meanwhile, under the same webhook-id, and after what came behind it.
//
// Batches may only be made by one jet-bus at a time ([Deliverer.RunBatches]), or they
// would overtake each other.
//
// The package knows nothing of rules but how they choose events.
package deliver
