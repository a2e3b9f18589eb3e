// Package releases is a site with releases, for tests: it answers as GitHub, Gitea
// (and Forgejo) and GitLab document their APIs, with pages, conditional requests,
// limits, private repositories, and files that a store on another host serves.
//
// One [Site] speaks all three dialects about the same repositories. [Fixture] is
// what the suites publish on it.
package releases
