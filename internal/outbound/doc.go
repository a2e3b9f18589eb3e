// Package outbound sends HTTP requests to servers that an operator has named, as
// everything that leaves jet-bus by itself wants them sent: certificates are verified,
// redirects are not followed, secrets are read from files for each request, no error
// shows a secret or more of a URL than its origin, and an answer says whether to try
// again is of use, and when.
//
// It knows nothing of what is sent, and does not try again itself.
package outbound
