"""HTTP/2 by hand (RFC 9113), to send what no gRPC library would."""

import socket
import struct
import time

DATA, HEADERS, RST_STREAM, SETTINGS, PING = 0, 1, 3, 4, 6
END_STREAM, END_HEADERS, ACK = 1, 4, 1


def message(content):
    """A gRPC message: not compressed, its length, itself."""
    return b"\0" + struct.pack(">I", len(content)) + content


class Http2:
    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=30)
        self.received = b""
        self.socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        self.frame(SETTINGS, 0, 0)

    def frame(self, kind, flags, stream, content=b""):
        self.socket.sendall(struct.pack(">I", len(content))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) +
                            content)

    def call(self, path, stream=1):
        """The head of a call, every field a literal without Huffman coding (RFC 7541, 6.2.2)."""
        fields = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "t"), ("te", "trailers"),
                  ("content-type", "application/grpc")]
        block = b"".join(b"\0" + bytes([len(k)]) + k.encode() + bytes([len(v)]) + v.encode() for k, v in fields)
        self.frame(HEADERS, END_HEADERS, stream, block)

    def next_frame(self, timeout):
        """Kind, flags, stream and content; SETTINGS and PING are answered. Nothing after `timeout` seconds."""
        until = time.monotonic() + timeout
        while True:
            size = int.from_bytes(self.received[:3], "big") if len(self.received) >= 9 else None
            if size is not None and len(self.received) >= 9 + size:
                head, content = self.received[:9], self.received[9:9 + size]
                self.received = self.received[9 + size:]
                kind, flags, stream = head[3], head[4], struct.unpack(">I", head[5:])[0]
                if kind in (SETTINGS, PING):
                    if not flags & ACK:
                        self.frame(kind, ACK, 0, content if kind == PING else b"")
                    continue
                return kind, flags, stream, content
            left = until - time.monotonic()
            if left <= 0:
                return None
            self.socket.settimeout(left)
            try:
                more = self.socket.recv(65536)
            except TimeoutError:
                return None
            if not more:
                raise ConnectionError("closed")
            self.received += more

    def end_of(self, stream, timeout):
        """All that was sent to a stream until it ended; nothing if it has not within `timeout` seconds."""
        until, sent = time.monotonic() + timeout, b""
        while (frame := self.next_frame(until - time.monotonic())) is not None:
            kind, flags, of, content = frame
            if of != stream:
                continue
            if kind == RST_STREAM:
                return sent
            sent += content
            if flags & END_STREAM:
                return sent
        return None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
