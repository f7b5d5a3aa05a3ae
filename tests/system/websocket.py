"""websocket - sessions of a running job, spoken by hand, for tests

Knows no more of WebSocket than RFC 6455 says, and shares nothing with the implementation.
"""
import base64
import hashlib
import json
import os
import re
import socket
import struct
import urllib.parse

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def key():
    with open(os.environ["HOME"] + "/.config/berth/config.yaml") as f:
        return re.search(r'key: *"?([A-Za-z0-9_-]+)', f.read()).group(1)


class Refused(Exception):
    """Answered otherwise than by the upgrade: status and body."""


class WebSocket:
    def __init__(self, path, headers=None):
        url = urllib.parse.urlsplit(os.environ["BERTH_URL"])
        self.socket = socket.create_connection((url.hostname, url.port), timeout=30)
        self.file = self.socket.makefile("rb")
        nonce = base64.b64encode(os.urandom(16)).decode()
        head = {"Host": url.netloc, "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": nonce,
                "Sec-WebSocket-Version": "13", "Sec-WebSocket-Protocol": "berth.session.v1",
                "Authorization": "Bearer " + key(), **(headers or {})}
        lines = "".join(f"{k}: {v}\r\n" for k, v in head.items() if v is not None)
        self.socket.sendall(f"GET /v1/projects/lab/jobs/{path} HTTP/1.1\r\n{lines}\r\n".encode())
        status = int(self.file.readline().split()[1])
        answer = {}
        while line := self.file.readline().strip():
            name, value = line.decode().split(":", 1)
            answer[name.lower()] = value.strip()
        if status != 101:
            raise Refused(status, self.file.read(int(answer.get("content-length", 0))).decode())
        want = base64.b64encode(hashlib.sha1((nonce + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest())
        assert answer["sec-websocket-accept"].encode() == want
        assert answer["sec-websocket-protocol"] == "berth.session.v1"

    def frame(self, payload, opcode=BINARY, fin=True, masked=True):
        head = bytes([opcode | (0x80 if fin else 0)])
        bit, n = 0x80 if masked else 0, len(payload)
        head += bytes([bit | n]) if n < 126 else struct.pack("!BH", bit | 126, n) if n < 65536 else \
            struct.pack("!BQ", bit | 127, n)
        mask = os.urandom(4)
        if masked:
            wide = int.from_bytes((mask * (n // 4 + 1))[:n], "big")
            payload = mask + (int.from_bytes(payload, "big") ^ wide).to_bytes(n, "big")
        self.socket.sendall(head + payload)

    def say(self, order):
        self.frame(b"\3" + json.dumps(order).encode())

    def read(self):
        """Opcode and payload of the next frame; (None, b"") at the connection's end."""
        head = self.file.read(2)
        if len(head) < 2:
            return None, b""
        n = head[1]
        assert not n & 0x80, "a server masks nothing"
        if n == 126:
            n = struct.unpack("!H", self.file.read(2))[0]
        elif n == 127:
            n = struct.unpack("!Q", self.file.read(8))[0]
        return head[0] & 15, self.file.read(n)

    def control(self):
        """The next word on channel 3."""
        while True:
            opcode, payload = self.read()
            assert opcode == BINARY or opcode == PING, (opcode, payload)
            if opcode == BINARY and payload[:1] == b"\3":
                return json.loads(payload[1:])

    def closed(self):
        """Code and reason of the close frame; messages before it are skipped."""
        while True:
            opcode, payload = self.read()
            assert opcode is not None, "the connection ended without a close frame"
            if opcode == CLOSE:
                return struct.unpack("!H", payload[:2])[0], payload[2:].decode()
