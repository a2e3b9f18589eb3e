package modules

// echoServer is a web server of the host on a port: it answers with what it was
// asked, and keeps the method and the body of each request that sends something in
// /run/asked-PORT.
func echoServer(port string) string {
	return "systemctl stop echo-" + port + " 2>/dev/null; rm -f /run/asked-" + port + "; cat >/root/echo-" + port + ".py <<'END'\n" + `
import http.server, json, sys
class H(http.server.BaseHTTPRequestHandler):
    def do(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        if self.command not in ("GET", "HEAD"):
            with open("/run/asked-" + sys.argv[1], "a") as f: f.write(self.command + " " + body + "\n")
        said = json.dumps({"path": self.path, "body": body, "auth": self.headers.get("Authorization")}).encode()
        self.send_response(404 if self.path.startswith("/none") else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        if self.command != "HEAD": self.wfile.write(said)
    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), H).serve_forever()
` + "END\nsystemd-run --quiet --collect --unit=echo-" + port + " python3 /root/echo-" + port + ".py " + port +
		"; for i in $(seq 100); do curl -s -o /dev/null http://127.0.0.1:" + port + "/ && break; sleep 0.1; done"
}

// listens has something listen on a port in some seconds, or until then.
func listens(port, how string) string {
	return "systemctl stop port-" + port + " 2>/dev/null; systemd-run --quiet --collect --unit=port-" + port +
		" sh -c '" + how + "'"
}

var _ = add(
	Case{
		Module: "http", Name: "gets from the host",
		Before: echoServer("8101"),
		Task: "!http\nurl: http://127.0.0.1:8101/a?b=$(touch%20/owned)\nfrom: target\ntoken: s3cret-t0ken\n" +
			"search: '\"auth\": \"Bearer s3cret-t0ken\"'\n",
		Probe:  "cat /run/asked-8101 /owned 2>/dev/null; true",
		Need:   "passive",
		Always: true,
	},
	Case{
		Module: "http", Name: "posts a body as it is",
		Before: echoServer("8102"),
		Task:   "!http\nurl: http://127.0.0.1:8102/\nfrom: target\nbody: '@/etc/passwd \"$(x)\" it''s'\n",
		Probe:  "sort -u /run/asked-8102 2>/dev/null; ls -d /tmp/jet-* 2>/dev/null; true",
		Want:   `POST @/etc/passwd "$(x)" it's`,
		Need:   "executed",
		Always: true,
	},
	Case{
		Module: "http", Name: "puts JSON with templates",
		Before: echoServer("8103"),
		Vars:   "who: \"ann \\\"x\\\" ünïcode\"\n",
		Task:   "!http\nurl: http://127.0.0.1:8103/\nfrom: target\nmethod: PUT\njson: {a: [1, true, null, '{{who}}']}\n",
		Probe:  "sort -u /run/asked-8103 2>/dev/null; true",
		Want:   `PUT {"a":[1,true,null,"ann \"x\" ünïcode"]}`,
		Need:   "executed",
		Always: true,
	},
	Case{
		Module: "http", Name: "fails on another status",
		Before: echoServer("8104"),
		Task:   "!http\nurl: http://127.0.0.1:8104/none?password=s3cret\nfrom: target\n",
		Probe:  "true",
		Fails:  "requesting http://127.0.0.1:8104/none: the server answered 404 Not Found",
	},
	Case{
		Module: "http", Name: "fails from here",
		Task:  "!http\nurl: http://127.0.0.1:1/\n",
		Probe: "true",
		Fails: "connection refused",
	},
	Case{
		Module: "http", Name: "refuses a header of two lines",
		Task:  "!http\nurl: http://127.0.0.1:1/\nheaders: {A: \"b\\r\\nC: d\"}\n",
		Probe: "true",
		Fails: "more than one line",
	},
	Case{
		Module: "wait_for", Name: "waits for a port of the host",
		Before: listens("8111", "sleep 2; exec python3 -m http.server --bind 127.0.0.1 8111"),
		Task:   "!wait_for\nport: 8111\ntimeout: 60s\n",
		Probe:  "true",
		Need:   "passive",
		Always: true,
	},
	Case{
		Module: "wait_for", Name: "waits for a port by its address",
		Before: listens("8112", "sleep 2; exec python3 -m http.server --bind 0.0.0.0 8112"),
		Task:   "!wait_for\nhost: host1\nport: 8112\ntimeout: 60s\ninterval: 200ms\n",
		Probe:  "true",
		Need:   "passive",
		Always: true,
	},
	Case{
		Module: "wait_for", Name: "waits for a port from here",
		Task:   "!wait_for\nhost: '{{jet_ssh_hostname}}'\nport: '{{jet_ssh_port}}'\nconnect_from: runner\n",
		Probe:  "true",
		Need:   "passive",
		Always: true,
	},
	Case{
		Module: "wait_for", Name: "waits until a port is gone",
		Before: listens("8113", "timeout 4 python3 -m http.server --bind 127.0.0.1 8113") + "; sleep 1",
		Task:   "!wait_for\nport: 8113\nabsent: true\ntimeout: 60s\n",
		Probe:  "true",
		Need:   "passive",
		Always: true,
	},
	Case{
		Module: "wait_for", Name: "waits for a path with an odd name",
		Before: "rm -f \"/run/it's \\$(x)\"; systemd-run --quiet --collect sh -c \"sleep 2; touch \\\"/run/it's \\\\\\$(x)\\\"\"",
		Task:   "!wait_for\npath: \"/run/it's $(x)\"\ntimeout: 60s\n",
		Probe:  "true",
		Need:   "passive",
		Always: true,
	},
	Case{
		Module: "wait_for", Name: "waits for a server from the host",
		Before: echoServer("8114"),
		Task:   "!wait_for\nurl: http://127.0.0.1:8114/ready\nsearch: '\"path\": \"/ready\"'\ntimeout: 60s\n",
		Probe:  "true",
		Need:   "passive",
		Always: true,
	},
	Case{
		Module: "wait_for", Name: "gives up",
		Task:  "!wait_for\nport: 8199\ntimeout: 2s\n",
		Probe: "true",
		Fails: "waited 2s in vain for port 127.0.0.1:8199: it is not there: /proc/net/tcp says that nothing takes connections there",
	},
	Case{
		Module: "wait_for", Name: "gives up elsewhere",
		Task:  "!wait_for\nhost: host1\nport: 8199\ntimeout: 2s\n",
		Probe: "true",
		Fails: "bash says that nothing takes connections there",
	},
	Case{
		Module: "wait_for", Name: "refuses an option for a host",
		Task:  "!wait_for\nhost: '--help'\nport: 22\n",
		Probe: "true",
		Fails: "must be the name of a host",
	},
	Case{
		Module: "publish", Name: "needs a bus",
		Task:  "!publish\ntype: com.example.done\ndata: {host: '{{jet_host}}'}\n",
		Probe: "true",
		Fails: "Say where with --bus",
	},
	Case{
		Module: "publish", Name: "refuses a reserved type",
		Task:  "!publish\ntype: dev.jet-bus.task.finished.v1\n",
		Probe: "true",
		Fails: "are for jet-bus itself",
	},
)
