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

import numpy as np
from onnx import TensorProto

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from clients import Client  # noqa: E402
from serving import Serve  # noqa: E402
from small_models import identity, put, simple  # noqa: E402


def load(server, protocol, requests):
    address = server.http if protocol == "http" else server.grpc
    command = [ROOT / ".deps" / "bin" / "perf_analyzer", "-m", "simple", "-u", address, "-i", protocol, "--async",
               "--concurrency-range", "16", "--measurement-mode", "count_windows", "--measurement-request-count",
               str(requests), "--max-trials", "1"]
    done = subprocess.run(command, capture_output=True, text=True)
    if "Throughput" not in done.stdout:
        sys.exit(f"perf_analyzer failed:\n{done.stdout}{done.stderr}")


def copied_bytes(server, calls=50):
    """User-space copies a call over HTTP of a 600 KB input, as the server counts them."""
    image = np.ones((1, 3, 224, 224), np.float32)
    with Client(server, "http") as client:
        client.infer("image", {"IN": image})
        before = server.metric("tessera_copied_tensor_bytes_total")
        for _ in range(calls):
            client.infer("image", {"IN": image})
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
            print(f"copied a call of a 602,112-byte input over HTTP: {copied:.0f} bytes beyond those that came with the head")
            sizes = []
            for step in range(10):
                load(server, ("http", "grpc")[step % 2], arguments.requests // 10)
                sizes.append(server.rss_bytes() / 1e6)
                served = server.metric("nv_inference_count", model="simple")
                print(f"{served:>10.0f} requests: {sizes[-1]:.1f} MB", flush=True)
            print(f"growth after the first two tenths: {sizes[-1] - sizes[1]:+.1f} MB")
    if arguments.json:
        arguments.json.write_text(json.dumps({"requests": served, "rss_mb": sizes, "copied_bytes_a_call": copied}) + "\n")


if __name__ == "__main__":
    main()
