package modules

// serve starts a server of the suite's own on the host, at port 8090.
const serve = `mkdir -p /srv/web && cat >/srv/web/server.py <<'E'
import http.server, time
failures = {}
class H(http.server.BaseHTTPRequestHandler):
    def log_message(self, *a): pass
    def do_HEAD(self): self.do_GET(False)
    def do_GET(self, body=True):
        path, _, query = self.path.partition('?')
        def send(code, text=b'', **headers):
            self.send_response(code)
            for k, v in headers.items(): self.send_header(k.replace('_', '-'), v)
            if 'Content_Length' not in headers: self.send_header('Content-Length', str(len(text)))
            self.end_headers()
            if body: self.wfile.write(text)
        if path.startswith('http://'): send(200, b'by proxy ' + path.encode() + b'\n')
        elif path == '/file': send(200, b'content\n')
        elif path == '/sums': send(200, b'434728a410a78f56fc1b5899c3593436e61ab0c731e9072d95e96db290205e53  ./file\n')
        elif path == '/moved': send(302, Location='/file')
        elif path == '/cut': send(200, b'some', Content_Length='100')
        elif path == '/header': send(200, self.headers.get('X-Token', 'none').encode() + b'\n')
        elif path == '/slow':
            send(200, Content_Length='3')
            for c in (b'a', b'b', b'\n'): time.sleep(0.3); self.wfile.write(c)
        elif path == '/stall': time.sleep(20)
        elif path.startswith('/flaky'):
            failures[path] = failures.get(path, 0) + 1
            send(503) if failures[path] < 3 else send(200, b'at last\n')
        elif path == '/tagged':
            if self.headers.get('If-None-Match') == '"v2"': send(304)
            else: send(200, b'tagged\n', ETag='"v2"')
        else: send(404)
http.server.ThreadingHTTPServer(('', 8090), H).serve_forever()
E
systemctl is-active -q web || systemd-run -q --unit=web python3 /srv/web/server.py
for i in $(seq 100); do curl -s -o /dev/null http://127.0.0.1:8090/file && break; sleep 0.1; done
`

// fetched shows a file that was fetched, and that nothing else is beside it.
func fetched(dir string) string {
	return "cd " + dir + " 2>/dev/null || exit 0; for f in *; do test -e \"$f\" && stat -c '%n %U %a' \"$f\" && cat \"$f\"; done; ls -A | grep 'jet-[a-z0-9]\\{16\\}'; true"
}

func downloadCase(name, dir, before, params, want string) Case {
	return Case{
		Module: "download", Name: name, Before: serve + "mkdir -p " + dir + " && cd " + dir + "\n" + before,
		Task: "!download\ndest: " + dir + "/f\n" + params, Probe: fetched(dir), Want: want, Need: "created",
	}
}

func (c Case) failing(with string) Case {
	c.Want, c.Need, c.Fails = "", "", with
	return c
}

func (c Case) modifies(fields ...string) Case {
	c.Need, c.Fields = "modified", fields
	return c
}

var _ = add(
	downloadCase("fetches a file", "/srv/d1", "", "url: http://127.0.0.1:8090/moved\nmode: 0o640\nowner: daemon\n", "f daemon 640\ncontent"),
	downloadCase("fetches what the list of checksums speaks of", "/srv/d4", "echo old >f",
		"url: http://127.0.0.1:8090/file\nchecksum: http://127.0.0.1:8090/sums\n", "f root 644\ncontent").modifies("Content"),
	downloadCase("refuses what is not as listed", "/srv/d5", "echo old >f",
		"url: http://127.0.0.1:8090/header\nchecksum: sha256:434728a410a78f56fc1b5899c3593436e61ab0c731e9072d95e96db290205e53\n", "").
		failing("the checksum is another one"),
	downloadCase("leaves a file that was cut off", "/srv/d6", "echo old >f", "url: http://127.0.0.1:8090/cut\nforce: true\n", "").
		failing("curl: (18) transfer closed"),
	downloadCase("has no such file", "/srv/d8", "", "url: http://127.0.0.1:8090/none?token=secret\n", "").
		failing("downloading http://127.0.0.1:8090/none: the server answered 404 Not Found"),
	downloadCase("waits for a slow server", "/srv/d9", "", "url: http://127.0.0.1:8090/slow\n", "f root 644\nab"),
	downloadCase("does not wait for ever", "/srv/d10", "", "url: http://127.0.0.1:8090/stall\ntimeout: 1s\n", "").
		failing("it took longer than the timeout of 1s"),
	downloadCase("tries again", "/srv/d11", "", "url: http://127.0.0.1:8090/flaky11\nretries: 3\n", "f root 644\nat last"),
	downloadCase("gives up", "/srv/d12", "", "url: http://127.0.0.1:8090/flaky12\n", "").failing("the server answered 503"),
	downloadCase("sends headers", "/srv/d13", "", "url: http://127.0.0.1:8090/header\nheaders: {X-Token: \"a \\\"b\\\" $(c)\"}\n", "f root 644\na \"b\" $(c)"),
	downloadCase("asks by version", "/srv/d14", "echo old >f && touch -d @0 f", "url: http://127.0.0.1:8090/tagged\nforce: true\n", "f root 644\ntagged").
		modifies("Content"),
	downloadCase("goes by the proxy of the environment", "/srv/d15", "",
		"url: http://nowhere.example/x\nwith: {environment: {http_proxy: \"http://127.0.0.1:8090\"}}\n", "f root 644\nby proxy http://nowhere.example/x"),
	downloadCase("keeps what is there", "/srv/d16", "echo mine >f", "url: http://127.0.0.1:1/none\nmode: 0o600\n", "f root 600\nmine").modifies("Mode"),
	downloadCase("may not write what the user may not", "/srv/d17", "", "url: http://127.0.0.1:8090/file\n", "").asLogin().failing("ermission denied"),
)

func (c Case) asLogin() Case {
	c.Login = true
	return c
}
