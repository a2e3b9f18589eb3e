package source

import (
	"net/url"
	"strings"
	"unicode"
)

// ReleaseID is the id of the event that a release was published, whether a webhook
// brings it or a watcher finds it: release is its number and what says what happened to
// it, or where a host tells no number, its tag and when it was made.
func ReleaseID(release, what string) string { return "release:" + release + ":" + what }

// Host returns the host name of a URL, or "": the attribute githost.
func Host(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// Clean drops control characters, which no attribute may have, and space around.
func Clean(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, s))
}
