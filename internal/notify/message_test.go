package notify

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jet-bus/jet-bus/internal/bus"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	_, b := bustest.Start(t)
	m := message()
	m.Subject, m.Text = "a\r\nb", "x\r\ny\x1b"+strings.Repeat("ü", maxText)
	for range 2 { // the same one
		if err := Store(t.Context(), b, m); err != nil {
			t.Fatal(err)
		}
	}
	other := message()
	other.ID = "m-2"
	for _, err := range []error{Send(t.Context(), b, m)(), Send(t.Context(), b, other)()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	var got []Message
	for stored, err := range b.Tail(t.Context(), bus.StreamNotify, bus.AllNotify, bus.TailOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		one, err := decode(stored.Data)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, one)
	}
	m.Subject, m.Text = "a b", "x\ny "+strings.Repeat("ü", maxText/2-2)+"\n[cut off]"
	if diff := cmp.Diff([]Message{m, other}, got); diff != "" {
		t.Error(diff)
	}
}

func TestStoreRefuses(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Message){
		"no id":      func(m *Message) { m.ID = "" },
		"id":         func(m *Message) { m.ID = "a\r\nb" },
		"long id":    func(m *Message) { m.ID = strings.Repeat("a", maxID+1) },
		"no target":  func(m *Message) { m.To = "" },
		"wildcard":   func(m *Message) { m.To = ">" },
		"capitals":   func(m *Message) { m.To = "Ops" },
		"long name":  func(m *Message) { m.To = strings.Repeat("a", maxName+1) },
		"long chain": func(m *Message) { m.Correlation = strings.Repeat("a", maxID+1) },
	} {
		m := message()
		change(&m)
		if err := Store(t.Context(), nil, m); err == nil {
			t.Errorf("%s: stored", name)
		}
		if err := Send(t.Context(), nil, m)(); err == nil {
			t.Errorf("%s: sent", name)
		}
	}
}

// The largest message there can be fits, and a full stream says so.
func TestStoreLargest(t *testing.T) {
	t.Parallel()
	_, b := bustest.Start(t, bustest.WithLimits(bus.Limits{EventsMaxBytes: 4 << 20}))
	var err error
	for i := 0; err == nil && i < 100; i++ {
		m := message()
		m.ID = strings.Repeat("i", maxID-2) + string(rune('A'+i/10)) + string(rune('0'+i%10))
		m.Text, m.Subject = strings.Repeat(`"`, maxText), strings.Repeat("😀", maxSubject)
		err = Store(t.Context(), b, m)
	}
	if !errors.Is(err, bus.ErrFull) {
		t.Errorf("got %v, want a full stream", err)
	}
}
