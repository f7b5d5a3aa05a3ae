#!/usr/bin/python3
"""home.py DIR: a server as `berth supervise` knows it, and on its bad days

    DIR/ID/spec.json   of task ID         DIR/ID/orders   a line of JSON each
    DIR/ID/files/      what came          DIR/blobs/      what is there and what came
    DIR/ID/fenced      it was given up    DIR/away        answers 503
    DIR/short          takes half of what is appended
    DIR/mute           appends, and closes the connection without a word
    DIR/cut            breaks layers off in the middle     DIR/hold   and waits there first

Writes its port to DIR/port and a line a request to DIR/log. The token of ID is "token-ID".
"""
import hashlib
import http.server
import json
import os
import pathlib
import socketserver
import sys
import time
import urllib.parse

root = pathlib.Path(sys.argv[1])
(root / "blobs").mkdir(exist_ok=True)
log = open(root / "log", "a", buffering=1)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, body):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        log.write(f"{self.command} {self.path} {status}\n")
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def orders(self, task, query):
        end = time.time() + int(query["wait"])
        while True:
            if (task / "fenced").exists():
                return self.answer(410, {"detail": "the task was given up"})
            path = task / "orders"
            lines = path.read_text().splitlines() if path.exists() else []
            orders = [dict(json.loads(line), serial=i + 1) for i, line in enumerate(lines)]
            orders = [order for order in orders if order["serial"] > int(query["after"])]
            if orders or time.time() > end:
                return self.answer(200, {"orders": orders})
            time.sleep(0.02)

    def append(self, path, body, offset):
        size = path.stat().st_size if path.exists() else 0
        if offset != size:
            return self.answer(409, {"detail": "it goes on elsewhere", "size": size})
        if (root / "short").exists():
            body = body[: (len(body) + 1) // 2]
        with open(path, "ab") as file:
            file.write(body)
        if (root / "mute").exists():
            (root / "mute").unlink()
            self.close_connection = True
            return None
        return self.answer(200, {"size": size + len(body)})

    def blob(self, name, body):
        path = root / "blobs" / name
        if name == "missing":
            sums = json.loads(body)["sums"]
            return self.answer(200, {"missing": [s for s in sums if not (root / "blobs" / s).exists()]})
        if self.command == "GET":
            return self.answer(200, path.read_bytes()) if path.exists() else self.answer(404, {})
        if hashlib.sha256(body).hexdigest() != name:
            return self.answer(400, {"detail": "these bytes have another digest"})
        path.write_bytes(body)
        return self.answer(201, {})

    def layer(self, name):
        path = root / "blobs" / name
        if not path.exists():
            return self.answer(404, {"detail": "there is no such layer"})
        body = path.read_bytes()
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        log.write(f"layer {name} from {start}\n")
        rest = body[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        half = len(rest) // 2
        self.wfile.write(rest[:half])
        self.wfile.flush()
        while (root / "hold").exists():
            time.sleep(0.02)
        if (root / "cut").exists():
            (root / "cut").unlink()
            self.close_connection = True
            return None
        return self.wfile.write(rest[half:])

    def progress(self, task, body):
        (task / "progress").write_bytes(body)
        return self.orders(task, {"wait": 0, "after": 0})

    def do(self):
        url = urllib.parse.urlparse(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        kind, name, what, *rest = url.path.split("/")[2:]
        task = root / name
        if (root / "away").exists():
            return self.answer(503, {"detail": "away"})
        if (task / "fenced").exists() and what != "orders":
            return self.answer(410, {"detail": "the task was given up"})
        if self.headers.get("Authorization") != f"Bearer token-{name}":
            return self.answer(401, {"detail": "no token"})
        if kind == "attempts":
            return self.answer(200, {"PASSWORD": "open sesame"})
        if what == "spec":
            return self.answer(200, (task / "spec.json").read_bytes())
        if what == "orders":
            return self.orders(task, query)
        if what == "layers":
            return self.layer(rest[0])
        if what == "progress":
            return self.progress(task, body)
        if what == "metrics":
            return self.answer(200, {})
        if what == "blobs":
            return self.blob(rest[0], body)
        if what == "uploads":
            return self.answer(200, {"size": 0})
        path = task / "files" / rest[0]
        path.parent.mkdir(exist_ok=True)
        if "offset" in query:
            return self.append(path, body, int(query["offset"]))
        path.write_bytes(body)
        return self.answer(200, {"size": len(body)})

    do_GET = do_PUT = do_POST = do


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True

    def handle_error(self, request, address):
        log.write(f"{address}: {sys.exc_info()[1]}\n")


server = Server(("127.0.0.1", 0), Handler)
(root / "port.tmp").write_text(str(server.server_address[1]))
os.rename(root / "port.tmp", root / "port")
server.serve_forever()
