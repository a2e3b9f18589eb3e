// Package release is the kind of source that watches a repository for releases: of
// GitHub, Gitea, Forgejo and GitLab, through their APIs, so that nothing need reach
// jet-bus from outside. A [Config] is the form of it in sources.yml, and makes the
// source.
//
// It looks at the whole list, since the release that a host calls the latest is not
// always the one that was published last. What is there at the first look is known
// from then on, and nothing is said of it. What appears later is told once it passes
// the filters, in the order of publication, by the event that the host's webhook would
// have brought: both have one source and one id, so that with both, one is stored.
//
// The cursor holds which releases are known, by the numbers that hosts give them: one
// that is edited, or whose tag is renamed, is none that is new; one that was deleted
// and made again is. See [cursor].
//
// How a site is asked, and how often, is the business of package releases.
package release
