// Package cli is the jet command: one file for each group of subcommands, listed
// in root.go. What it shows of the bus it reads with the rights of a viewer.
package cli
