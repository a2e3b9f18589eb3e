"""Answers every request with the greeting of its configuration."""

import configparser
import socket
import sys

config = configparser.ConfigParser(interpolation=None)
with open(sys.argv[1], encoding="utf-8") as f:
    config.read_file(f)
body = (config["app"]["greeting"] + "\n").encode()
head = f"HTTP/1.0 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n\r\n"

with socket.create_server(("127.0.0.1", config["app"].getint("port"))) as server:
    while True:
        connection, _ = server.accept()
        with connection:
            connection.settimeout(5)
            try:
                connection.recv(65536)
                connection.sendall(head.encode() + body)
            except OSError as problem:
                print(problem, file=sys.stderr)
