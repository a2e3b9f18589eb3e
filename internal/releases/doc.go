// Package releases asks git hosts which releases a repository has: GitHub, Gitea,
// Forgejo and GitLab. It knows neither playbooks nor events.
//
// It has two users with two ways to ask. [Client] answers many hosts of one run,
// which want the same list at about the same time, and fetches files of releases.
// [Sites] serves watchers, which ask for the same list again and again and want to
// know what is new: it asks a site one thing at a time, and no more often than the
// site's limits allow.
//
// Both hand a token to nobody but the site it is for, heed what a site says of when
// it wants to be asked again, and read at most ten pages of a list.
package releases
