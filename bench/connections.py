"""What connections cost: memory of 10,000 idle ones, and what one tenant with 64 MB bodies at 1 KB/s does to another's p99.

  scripts/bench connections [--idle N] [--seconds N] [--json FILE]
"""

import argparse
import json
import pathlib
import resource
import socket
import struct
import sys
import tempfile
import threading
import time

import numpy as np
from onnx import TensorProto

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from serving import Serve  # noqa: E402
from small_models import identity, put, simple  # noqa: E402

HEAD = json.dumps({"inputs": [
    {"name": n, "shape": [1, 16], "datatype": "INT32", "parameters": {"binary_data_size": 64}}
    for n in ("INPUT0", "INPUT1")], "parameters": {"binary_data_output": True}}).encode()
REQUEST = (f"POST /v2/models/simple/infer HTTP/1.1\r\nHost: b\r\nInference-Header-Content-Length: {len(HEAD)}\r\n"
           f"Content-Length: {len(HEAD) + 128}\r\n\r\n").encode() + HEAD + bytes(128)


def read_answer(connection):
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            raise ConnectionError("closed")
        data += more
    head, body = data.split(b"\r\n\r\n", 1)
    length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
    while len(body) < length:
        body += connection.recv(65536)
    return int(head.split()[1])


def idle_connections(server, count):
    """Bytes of resident memory that `count` connections add after one request each."""
    before = server.rss_bytes()
    connections = []
    for _ in range(count):
        connection = socket.create_connection(server.http_address, timeout=30)
        connection.sendall(REQUEST)
        if read_answer(connection) != 200:
            sys.exit("a request failed")
        connections.append(connection)
    added = server.rss_bytes() - before
    connections[0].sendall(REQUEST)
    served = read_answer(connections[0]) == 200
    for connection in connections:
        connection.close()
    return added, served


def p99_us(server, seconds):
    times = []
    with socket.create_connection(server.http_address, timeout=30) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            begin = time.perf_counter()
            connection.sendall(REQUEST)
            read_answer(connection)
            times.append((time.perf_counter() - begin) * 1e6)
    return float(np.percentile(times, 99))


class SlowTenant:
    """Eight connections that send a 64 MB body, and two that read one, at 1 KB a second each."""

    ELEMENTS = 16 * 2**20 - 4096
    SENDERS, READERS = 8, 2

    def __init__(self, server):
        self._server = server
        self._stop = threading.Event()
        self._connections = []
        self._lost = 0
        self._thread = threading.Thread(target=self._drip)

    def __enter__(self):
        size = self.ELEMENTS * 4
        head = (f"POST /v2/models/big/infer HTTP/1.1\r\nHost: b\r\nInference-Header-Content-Length: 0\r\n"
                f"Content-Length: {size}\r\n\r\n").encode()
        for _ in range(self.SENDERS):
            sender = socket.create_connection(self._server.http_address, timeout=30)
            sender.sendall(head)
            self._connections.append((sender, True))
        for _ in range(self.READERS):
            reader = socket.socket()
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.connect(self._server.http_address)
            reader.sendall(head + bytes(size))
            self._connections.append((reader, False))
        self._thread.start()
        time.sleep(1)
        return self

    def _drip(self):
        while not self._stop.wait(1):
            for connection, sends in self._connections:
                try:
                    alive = (connection.sendall(bytes(1024)) is None) if sends else len(connection.recv(1024)) > 0
                except OSError:
                    alive = False
                self._lost += not alive

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        if self._lost:
            sys.exit(f"the server gave up slow connections ({self._lost} times): nothing was measured beside them")
        for connection, _ in self._connections:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--idle", type=int, default=10000)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < arguments.idle + 100:
        sys.exit(f"{arguments.idle} connections need a limit of {arguments.idle + 100} open files (ulimit -Hn); it is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (arguments.idle + 100, hard))
    with tempfile.TemporaryDirectory() as folder:
        models = pathlib.Path(folder) / "models"
        put(models, "simple", simple())
        put(models, "big", identity(TensorProto.FLOAT, ["n"]), config="max_batch_size: 0\n")
        with Serve(models, "--log-level", "warning", "--http-body-timeout-secs", "600", log=pathlib.Path(folder) / "log") as server:
            p99_us(server, 1)
            added, served = idle_connections(server, arguments.idle)
            print(f"{arguments.idle} idle connections: {added / 1e6:.1f} MB (bar 100 MB), served beside them: {served}", flush=True)
            alone, beside = [], []
            for _ in range(arguments.rounds):
                alone.append(p99_us(server, arguments.seconds))
                with SlowTenant(server):
                    beside.append(p99_us(server, arguments.seconds))
            ratios = sorted(b / a for a, b in zip(alone, beside))
            print(f"p99 beside slow 64 MB bodies / alone: median {np.median(ratios):.3f} (bar 1.05), "
                  f"{ratios[0]:.3f} to {ratios[-1]:.3f} over {arguments.rounds} rounds")
            result = {"idle_connections": arguments.idle, "idle_bytes": added, "p99_alone_us": alone,
                      "p99_beside_us": beside, "ratio_median": float(np.median(ratios))}
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
