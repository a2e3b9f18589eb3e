package proc

import "testing"

func TestPrintable(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                           "",
		"plain é 😀\ttab":             "plain é 😀\ttab",
		"a\x1b[2Jb\r\n\u009bc\x7fé":  "a\ufffd[2Jb\ufffd\ufffd\ufffdc\ufffdé",
		"\u202egpj.exe\u2066x\u2028": "\ufffdgpj.exe\ufffdx\ufffd",
		"\xff\xfe":                   "\ufffd\ufffd",
	} {
		if got := Printable(in); got != want {
			t.Errorf("Printable(%q) = %q, want %q", in, got, want)
		}
	}
}
