// Package process builds the project's commands and runs them beside a test, as an
// operator would: as processes, with a home of their own.
package process
