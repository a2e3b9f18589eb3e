"""Answers every request with the greeting of its configuration."""

import http.server
import json
import sys

with open(sys.argv[1], encoding="utf-8") as f:
    config = json.load(f)


class Greeter(http.server.BaseHTTPRequestHandler):
    """Greets."""

    def do_GET(self):
        body = (config["greeting"] + "\n").encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


http.server.HTTPServer(("127.0.0.1", config["port"]), Greeter).serve_forever()
