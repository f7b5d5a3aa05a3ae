#!/usr/bin/python3
"""bad-registry.py DIR: a registry that does what real ones do on bad days

Serves the layout DIR/oci as repository NAME/x:TAG for every tag in it; what goes wrong is said by NAME. Prints its
port and logs one line a request to DIR/log.

    good      nothing                        size      the manifest promises one byte less
    digest    a blob has a byte flipped      drop      breaks each blob off in the middle, resumes by Range
    stall     sends half a blob, then waits  never     breaks blobs off, and cannot resume
    token     bearer tokens that expire after two requests
    elsewhere blobs are redirected to another host, which logs the Authorization it gets
    busy      answers 503 twice before anything
    html      answers everything with a web page
    endless   redirects to itself
"""
import http.server
import json
import pathlib
import socketserver
import sys
import threading
import time

root = pathlib.Path(sys.argv[1])
blobs = root / "oci/blobs/sha256"
log = open(root / "log", "a", buffering=1)
index = json.loads((root / "oci/index.json").read_text())
tags = {m["annotations"]["org.opencontainers.image.ref.name"]: m["digest"][7:] for m in index["manifests"]}
state = {"tokens": {}, "n": 0, "busy": 0}
lock = threading.Lock()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def send(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def authorized(self, name):
        if name != "token":
            return True
        with lock:
            word = self.headers.get("Authorization", "").removeprefix("Bearer ")
            left = state["tokens"].get(word, 0)
            if left > 0:
                state["tokens"][word] = left - 1
                return True
        realm = f"http://127.0.0.1:{port}/token"
        self.send(401, b"{}", WWW_Authenticate=f'Bearer realm="{realm}",service="bad"')
        return False

    def token(self):
        with lock:
            state["n"] += 1
            word = f"t{state['n']}"
            state["tokens"][word] = 2
        self.send(200, json.dumps({"token": word}).encode())

    def blob(self, name, digest):
        body = (blobs / digest).read_bytes()
        small = len(body) < 4096
        start = 0
        if name == "digest" and not small:
            body = body[:1000] + bytes([body[1000] ^ 1]) + body[1001:]
        if name == "elsewhere" and not small:
            return self.send(307, Location=f"http://localhost:{port}/away/{digest}")
        if name != "never" and self.headers.get("Range"):
            start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.end_headers()
        rest = body[start:]
        if small or name not in ("drop", "stall", "never"):
            self.wfile.write(rest)
            return
        with lock:
            first = state.setdefault(name + digest, 0) < 2
            state[name + digest] += 1
        if name == "drop" and not first:
            self.wfile.write(rest)
            return
        self.wfile.write(rest[: len(rest) // 2])
        self.wfile.flush()
        if name == "stall":
            time.sleep(60)
        self.close_connection = True

    def manifest(self, name, what):
        digest = what[7:] if what.startswith("sha256:") else tags[what]
        body = (blobs / digest).read_bytes()
        if name == "size":
            manifest = json.loads(body)
            for layer in manifest["layers"]:
                layer["size"] -= 1
            body = json.dumps(manifest).encode()
        self.send(200, body, Content_Type="application/vnd.oci.image.manifest.v1+json")

    def do_GET(self):
        path = self.path.split("?")[0]
        print(self.path, self.headers.get("Authorization", "-"), self.headers.get("Range", "-"), file=log)
        if path == "/token":
            return self.token()
        if path.startswith("/away/"):
            return self.send(200, (blobs / path[6:]).read_bytes())
        _, _, name, _, kind, what = path.split("/", 5)
        if name == "html":
            return self.send(200, b"<html>hello</html>", Content_Type="text/html")
        if name == "endless":
            return self.send(302, Location=self.path)
        with lock:
            busy = name == "busy" and state["busy"] < 2
            state["busy"] += busy
        if busy:
            return self.send(503, b"later")
        if not self.authorized(name):
            return None
        if kind == "blobs":
            return self.blob(name, what[7:])
        return self.manifest(name, what)


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True


server = Server(("127.0.0.1", 0), Handler)
port = server.server_address[1]
(root / "port").write_text(str(port))
server.serve_forever()
