// Package reference makes the pages of docs/modules, one for each module, from
// the structs of package modules and the comments on them, and renders such a page
// for a terminal.
//
// What a page says stands in the source, beside what it speaks of: the sentence of
// the module's table, the struct's comment, and for every parameter the field's
// type, tag and comment. These hold for the comments:
//
//   - The struct's begins "NAME is the MODULE module" and says more than that. From
//     the sentence on that begins "The result", it is about the task's result.
//   - A field's begins with the field's name. "is X when it is not given" tells
//     the default.
//   - That of a type that decodes itself begins "NAME is" and goes on with what a
//     user writes there, up to the first comma, colon or semicolon: "hostPath is an
//     absolute path on the host, without …".
//
// What lacks such a comment is an error, and no page is made.
//
// The pages are written by go generate ./modules, which is the test of this
// package with -update; without it, the test compares them with the source.
package reference
