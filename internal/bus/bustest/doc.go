// Package bustest gives a test a bus of its own: an embedded server in a
// temporary directory, with the streams made, and a connection to it.
//
//	s, b := bustest.Start(t)
//	viewer := bustest.Connect(t, s, busserver.RoleViewer, "v")
//	s = bustest.Restart(t, s) // b and viewer reconnect
//
// Everything ends with the test.
package bustest
