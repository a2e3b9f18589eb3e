// Package report is what people and programs see of a run: it turns the engine's
// steps into the events that the bus carries, and such events into text. `jet
// run`, `jet jobs watch` and the demo print with it, so that a run looks the same
// wherever it took place.
package report
