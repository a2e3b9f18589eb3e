package doctor

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/jet-bus/jet-bus/internal/bus/busserver"
	"github.com/jet-bus/jet-bus/internal/bus/bustest"
)

func TestUnreadable(t *testing.T) {
	t.Parallel()
	s, b := bustest.Start(t)
	viewer := bustest.Connect(t, s, busserver.RoleViewer, "v")
	look := func() []Finding {
		e := &examination{bus: viewer, check: "unreadable"}
		if err := e.unreadable(t.Context()); err != nil {
			t.Fatal(err)
		}
		return e.found
	}
	put := func(data string) {
		if _, _, err := b.Publish(t.Context(), &nats.Msg{Subject: "events.ext.com.example.t", Data: []byte(data)}); err != nil {
			t.Fatal(err)
		}
	}
	event := func(id int, typ string) string {
		return fmt.Sprintf(`{"specversion":"1.0","id":"%d","source":"/s","type":"%s"}`, id, typ)
	}
	want(t, look(), "unreadable", OK, "each of the newest 0 can be judged")
	put("hello")
	put(event(1, "com.example.t"))
	want(t, look(), "unreadable", Warning, "1 of the newest 2 are not judged by any rule, the last: event 1 on events.ext.com.example.t: ")
	put(event(2, "dev.jet-bus.job.failed.v1"))
	found := look()
	want(t, found, "unreadable", Warning, "2 of the newest 3 are not judged by any rule, the last: event 3 on events.ext.com.example.t: its type is for jet-bus itself")
	if strings.Contains(found[0].Text, "hello") {
		t.Errorf("it shows what was sent: %s", found[0].Text)
	}
	for i := range recent {
		put(event(10+i, "com.example.t"))
	}
	want(t, look(), "unreadable", OK, "each of the newest 200 can be judged")
}
