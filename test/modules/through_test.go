package modules

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestDownloadThroughRunner drives downloads from a server that the runner reaches,
// and the host only as long as nothing cuts it off.
func TestDownloadThroughRunner(t *testing.T) {
	h := host(t, Debian)
	gateway, err := h.Exec(t.Context(), "sh", "-c", "ip -4 route show default | awk '{print $3}'")
	if err != nil {
		t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", net.JoinHostPort(strings.TrimSpace(gateway), "0"))
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/cut" {
			w.Header().Set("Content-Length", "100")
		}
		fmt.Fprint(w, "content")
	}))
	if err := srv.Listener.Close(); err != nil {
		t.Fatal(err)
	}
	srv.Listener = listener
	srv.Start()
	t.Cleanup(srv.Close)

	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	cut := "nft add table inet cut && nft add chain inet cut out '{ type filter hook output priority 0; }' && " +
		"nft add rule inet cut out tcp dport " + port + " reject with tcp reset"
	whole := func(name, before, via string) Case {
		return Case{
			Module: "download", Name: name, Before: before,
			Task:  fmt.Sprintf("!download\nurl: %s/f\ndest: /srv/via-%s\nvia: %s\n", srv.URL, strings.ReplaceAll(name, " ", "-"), via),
			Probe: "cat /srv/via-" + strings.ReplaceAll(name, " ", "-") + " 2>/dev/null; true",
			Want:  "content", Need: "created",
		}
	}
	for _, c := range []Case{
		whole("by the host", "", "host"),
		whole("by the runner", "", "runner"),
		whole("by whom it can", cut, "auto"),
		{
			Module: "download", Name: "by a host that is cut off",
			Task:  "!download\nurl: " + srv.URL + "/f\ndest: /srv/via-none\nvia: host\n",
			Probe: "ls -A /srv | grep via-none; true", Fails: "the host cannot reach the server",
		},
		{
			Module: "download", Name: "by a runner that is cut off", Before: "echo old >/srv/via-cut",
			Task:  "!download\nurl: " + srv.URL + "/cut\ndest: /srv/via-cut\nvia: runner\nforce: true\n",
			Probe: "ls -A /srv | grep via-cut; cat /srv/via-cut", Fails: "the content ended before all of it had arrived",
		},
	} {
		t.Run(c.Name, func(t *testing.T) { drive(t, h, c) })
	}
}
