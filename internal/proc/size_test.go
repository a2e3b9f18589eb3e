package proc

import "testing"

func TestSize(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Size{
		"0": 0, "1073741824": 1 << 30, "7B": 7, "2KB": 2000, "10MB": 10_000_000, "3gb": 3_000_000_000, "1TB": 1e12,
		"2KiB": 2048, "10MiB": 10 << 20, "1 GiB": 1 << 30, "1gib": 1 << 30, "1TiB": 1 << 40, "8388607TiB": 8388607 << 40,
	} {
		var got Size
		if err := got.Set(text); err != nil || got != want {
			t.Errorf("%q is %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "x", "-1", "+1", "MB", "1.5GiB", "10M", "10MiBs", "1 0", "0x10", "1_000", "9223372036854775808", "8388608TiB"} {
		got := Size(5)
		if err := got.Set(text); err == nil || got != 5 {
			t.Errorf("%q is taken for %d, %v", text, got, err)
		}
	}
}
