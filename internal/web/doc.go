// Package web serves the status page: the last events, the jobs and the runners,
// as one HTML page without scripts. It reads the bus with a viewer's eyes and
// changes nothing.
package web
