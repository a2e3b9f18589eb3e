// Package files holds what the transports' file operations have in common: how
// a file is replaced in one step, links are followed, missing directories are
// made, and owners are named. A transport brings a [System], the plain calls of
// its host, and a [Names].
package files
