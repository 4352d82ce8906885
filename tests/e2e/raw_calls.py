"""Calls that no client library would make, over both protocols."""

import json
import socket
import struct

import grpc

SERVICE = "/inference.GRPCInferenceService/"


class Raw:
    """A bare HTTP connection."""

    def __init__(self, server, timeout=30):
        self.socket = socket.create_connection(server.http_address, timeout=timeout)

    def send(self, data):
        self.socket.sendall(data)

    def ask(self, path, body=None, **headers):
        """A whole request: POST where there is a body. What answer() gives."""
        head = f"{'GET' if body is None else 'POST'} {path} HTTP/1.1\r\nHost: t\r\n"
        if body is not None:
            head += f"Content-Length: {len(body)}\r\n"
        head += "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        self.send(head.encode() + b"\r\n" + (body or b""))
        return self.answer()

    def answer(self):
        """Status, headers (lower case) and body of the next response."""
        data = b""
        while b"\r\n\r\n" not in data:
            more = self.socket.recv(65536)
            if not more:
                raise ConnectionError(f"closed after {data!r}")
            data += more
        head, body = data.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines[1:])}
        length = int(headers.get("content-length", 0))
        while len(body) < length:
            more = self.socket.recv(65536)
            if not more:
                raise ConnectionError(f"closed after {len(body)} bytes of a body of {length}")
            body += more
        return int(lines[0].split()[1]), headers, body

    def closed(self):
        """Waits until the server has closed; whatever it still sends is an error."""
        return self.socket.recv(1) == b""

    def reset(self):
        """Closes as a client does that dies: with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _text(answer):
    try:
        return json.loads(answer)["error"]
    except (ValueError, KeyError, TypeError):  # no error text
        return answer.decode("latin-1")


def get(server, path):
    """Status and error text (or body)."""
    with Raw(server) as raw:
        status, _, answer = raw.ask(path)
        return status, _text(answer)


def post(server, path, body, **headers):
    """Status and error text (or body)."""
    with Raw(server) as raw:
        status, _, answer = raw.ask(path, body, **headers)
        return status, _text(answer)


def grpc_call(server, method, message, answer=None):
    """Code and details of a call with a message or bytes, or with `answer`, a message class, what came back."""
    with grpc.insecure_channel(server.grpc, options=[("grpc.max_send_message_length", -1)]) as channel:
        rpc = channel.unary_unary(method if method.startswith("/") else SERVICE + method,
                                  request_serializer=lambda b: b, response_deserializer=lambda b: b)
        try:
            got = rpc(message if isinstance(message, bytes) else message.SerializeToString(), timeout=30)
            return grpc.StatusCode.OK, answer.FromString(got) if answer else got
        except grpc.RpcError as error:
            return error.code(), error.details()
