// Package arch holds no code of the product: its tests check the shape of this source tree, which
// package may import which, what the module depends on, and that each package says what it is for.
// They need nothing but Go.
package arch
