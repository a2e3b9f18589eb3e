// Package subject is the source that takes messages from a subject of somebody else's
// NATS server and makes an event of each. (Whoever can send CloudEvents needs no such
// source: with the credentials of a publisher they are published on events.ext.<type>
// of our own bus.)
//
// Without a stream it is a plain subscription: a message that comes while jet-bus is
// not there, or faster than the bus stores them for a while, is lost. What was lost for
// the latter reason is counted and told as a failure.
//
// With a stream it is a durable pull consumer there, and a message is acknowledged when
// its event is stored: none is lost, and one that comes twice makes the same event,
// since the event's id follows from the stream, the sequence, and the time the message
// was stored. (Without the time, a stream that was deleted and made again would give
// the ids of the first.) While the bus takes nothing, nothing is fetched. How far the
// consumer has got is kept with us too, so that one that was deleted is made anew where
// it was.
//
// The account on the other server needs to subscribe to the subject or, with a stream,
// to use $JS.API.STREAM.INFO, CONSUMER.INFO, CONSUMER.CREATE and CONSUMER.MSG.NEXT of
// the stream, $JS.ACK of it, and _INBOX.>.
package subject
