"""Memory over a million requests: resident size of the server after every tenth of them, HTTP and gRPC in turn, and the
user-space copies of a 600 KB image.

  scripts/bench soak [--requests N] [--json FILE]
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

from onnx import TensorProto

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from raw_calls import Raw  # noqa: E402
from serving import Serve  # noqa: E402
from small_models import identity, put, simple  # noqa: E402

NOT_STABLE = 2  # perf_analyzer's exit status where the rates of its windows differ, which is no matter here
FLAT_MB = 5  # what caches of the allocator may still take after 200,000 requests


def load(server, protocol, requests):
    address = server.http if protocol == "http" else server.grpc
    # Over HTTP perf_analyzer 2.41 sometimes crashes with --async (it reads a message of libcurl's after it has freed it).
    command = [ROOT / ".deps" / "bin" / "perf_analyzer", "-m", "simple", "-u", address, "-i", protocol,
               "--async" if protocol == "grpc" else "--sync",
               "--concurrency-range", "16", "--measurement-mode", "count_windows", "--measurement-request-count",
               str(requests), "--max-trials", "1"]
    until = server.metric("nv_inference_count", model="simple") + requests
    while server.metric("nv_inference_count", model="simple") < until:
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode not in (0, NOT_STABLE):
            sys.exit(f"perf_analyzer failed:\n{done.stdout}{done.stderr}")


def copied_bytes(server, calls=50):
    """User-space copies a call over HTTP of a 600 KB input, as the server counts them. The head is sent first: tensor bytes
    that come in one read with the head have to be copied from there."""
    image = bytes(4 * 3 * 224 * 224)
    head = (f"POST /v2/models/image/infer HTTP/1.1\r\nHost: b\r\nInference-Header-Content-Length: 0\r\n"
            f"Content-Length: {len(image)}\r\n\r\n").encode()
    before = server.metric("tessera_copied_tensor_bytes_total")
    connection = Raw(server)
    for _ in range(calls):
        connection.send(head)
        time.sleep(0.005)
        connection.send(image)
        if connection.answer()[0] != 200:
            sys.exit("a request failed")
    connection.close()
    return (server.metric("tessera_copied_tensor_bytes_total") - before) / calls


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        models = pathlib.Path(folder) / "models"
        put(models, "simple", simple())
        put(models, "image", identity(TensorProto.FLOAT, ["batch", 3, 224, 224]))
        with Serve(models, "--log-level", "warning", log=pathlib.Path(folder) / "log") as server:
            copied = copied_bytes(server)
            print(f"copied a call of a {4 * 3 * 224 * 224:,}-byte input over HTTP: {copied:.0f} bytes (bar 0)", flush=True)
            sizes = []
            for step in range(10):
                load(server, ("http", "grpc")[step % 2], arguments.requests // 10)
                sizes.append(server.rss_bytes() / 1e6)
                served = server.metric("nv_inference_count", model="simple")
                print(f"{served:>10.0f} requests: {sizes[-1]:.1f} MB", flush=True)
            growth = max(sizes[2:]) - sizes[1]
            print(f"growth after the first two tenths: {growth:+.1f} MB, {'flat' if growth < FLAT_MB else 'NOT flat'}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"requests": served, "rss_mb": sizes, "growth_mb": growth,
                                              "copied_bytes_a_call": copied}) + "\n")
    if growth >= FLAT_MB or copied > 0:
        sys.exit(1)


if __name__ == "__main__":
    main()
