// Package busserver embeds the NATS server that jet-bus brings along: JetStream
// in a data directory, an operator-mode setup whose keys are made at the first
// start, and credentials by role.
//
//	s, err := busserver.Start(ctx, busserver.Options{Dir: dir, Logger: log})
//	if err != nil {
//		return err
//	}
//	defer s.Shutdown()
//	creds, err := s.Keys().Issue(busserver.RoleBus, "jet-bus", 0)
//	b, err := bus.Connect(ctx, bus.Options{InProcess: s.InProcess(), Creds: creds})
//
// The data directory holds
//
//	lock    held while a server runs
//	js/     what JetStream stores
//	keys/   the seeds of operator, accounts and roles; who has them is the bus
//	creds/  credentials of the roles people and runners connect with
//
// What a role may do is one table, in roles.go. The package knows nothing of
// streams and of what is published; package bus does. Only jet-bus and tests
// import it.
package busserver
