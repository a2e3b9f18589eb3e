// Package pause is how what works in the background waits: until a time is over or it is
// to end, longer after each failure, and not in step with others that failed at the same
// moment.
package pause
