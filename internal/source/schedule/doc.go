// Package schedule is the source of events whose time has come: by the five fields
// of cron in a zone, at a steady interval, or at given times.
//
// What the times of a schedule are is pure ([Config], and the types behind it); when
// they are told is decided by a cursor, the last due time that was dealt with. Every
// due time is an instant, and an event's id follows from it, so that no restart, no
// second jet-bus and no clock that steps back makes two events of one time.
//
// # Daylight saving
//
// Hours that are written out ("30 2 * * *", "0 9-17 * * 1-5") are fixed: where the
// clock skips one, its time comes at the first moment after the gap, once; where the
// clock repeats one, the first of the two counts. An hour field with a * or a step is
// a rhythm: it follows the clock as it runs, so a repeated hour is run twice and a
// skipped one not at all.
//
// Days are as in cron: if both the day of the month and the weekday are restricted,
// either is enough; a field that begins with a * restricts nothing in this sense.
package schedule
