// Package notify tells people: what a rule's action notify says is stored on the
// bus, and sent to a webhook or by e-mail by any jet-bus that knows the target.
//
// [Store] and [Send] put a [Message] on the stream NOTIFY, where it stays until it
// was sent or given up. It names its target and nothing else of it: how people
// are reached is in notify.yml of the content ([Read]), and what is secret about
// that in files of the machine that sends, read for each message. So the bus has no
// secret, and a reload changes where waiting messages go.
//
// A [Sender] sends. Each target has a consumer of its own on the bus and is sent a
// few messages at a time, so that one that hangs holds up no other. A message is
// sent at least once: it is gone from the bus only after its target has taken it.
// What fails is tried again for a day, the times between growing from five seconds
// to ten minutes, across restarts; then, or at once where the target says that it
// will not have it, the message is given up, which is an event.
//
// The package knows nothing of how a rule came to its message.
package notify
