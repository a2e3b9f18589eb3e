// Package doctor looks at a bus from outside and says what is well with it, what
// may become a trouble, and what is one, each with what to do about it:
//
//	for _, f := range doctor.Examine(ctx, b, doctor.Options{CredsFile: file}) {
//		fmt.Println(f.Level, f.Check, f.Text, f.Do)
//	}
//
// It changes nothing and needs no more than a viewer's rights. It knows the client's
// side only.
package doctor
