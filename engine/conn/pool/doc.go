// Package pool keeps connections warm between jobs: what one job gives back, the
// next job on the same host gets without a handshake and without logging in. It
// knows nothing of how hosts are reached; that is the dialer's business beneath.
package pool
