#!/usr/bin/python3
"""proxy.py LOG NAME=PORT...: an HTTP proxy that knows where names lead, and no others

Takes requests for http: URLs and tunnels (CONNECT). Prints its port; writes a line for each to LOG.
"""
import http.client
import http.server
import socket
import socketserver
import sys
import threading
import urllib.parse

log = open(sys.argv[1], "a", buffering=1)
places = dict(word.rsplit("=", 1) for word in sys.argv[2:])


def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def place(self, name):
        print(self.command, name, file=log)
        if name not in places:
            self.send_error(502)
        return places.get(name)

    def do_CONNECT(self):
        port = self.place(self.path)
        if not port:
            return
        with socket.create_connection(("127.0.0.1", int(port))) as there:
            self.send_response(200)
            self.end_headers()
            back = threading.Thread(target=pump, args=(there, self.connection))
            back.start()
            pump(self.connection, there)
            back.join()
        self.close_connection = True

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        port = self.place(url.netloc)
        if not port:
            return
        there = http.client.HTTPConnection("127.0.0.1", int(port))
        there.request("GET", url.path, headers={k: v for k, v in self.headers.items() if not k.startswith("Proxy-")})
        answer = there.getresponse()
        body = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True


server = Server(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
