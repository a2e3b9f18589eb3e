// Package upgrade opens stores that earlier versions of jet-bus have left, killed in
// the middle of their work, with the present code: every event is still there, every
// job ends, nothing is done twice. Package fixture makes such a store; testdata has
// one for each version since which something in a store's form has changed.
package upgrade
