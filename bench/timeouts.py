"""How late a request's timeout is answered, as a client sees it, while every core computes: 60 requests a protocol
with timeouts of 30 to 120 ms that wait behind runs of 0.8 s.

  scripts/bench timeouts [--calls N] [--json FILE]

The client runs as a real-time process where it may, since it shares the busy cores and its own delay is not the server's.
"""

import argparse
import json
import os
import pathlib
import random
import statistics
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

import numpy as np  # noqa: E402
from clients import Client, InferenceServerException  # noqa: E402
from hog import Hog, trips_per_second  # noqa: E402
from serving import Serve  # noqa: E402
from small_models import busy, put  # noqa: E402


def measure(server, protocol, calls, choose):
    late, answered = [], 0
    with Client(server, protocol) as client:
        with Hog(server, int(trips_per_second(client) * 0.8)):
            while len(late) < calls:
                timeout_ms = choose.randint(30, 120)
                begin = time.perf_counter()
                try:
                    client.infer("busy", {"TRIPS": np.array([1], np.int64)}, timeout=timeout_ms * 1000)
                    answered += 1
                except InferenceServerException as error:
                    if "Request timeout expired" not in str(error):
                        raise
                    late.append((time.perf_counter() - begin) * 1e3 - timeout_ms)
    late.sort()
    return {"protocol": protocol, "timeouts": len(late), "answered_in_time": answered,
            "p50_ms": statistics.median(late), "p90_ms": late[int(0.9 * len(late))], "max_ms": late[-1]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=60)
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as folder:
        put(pathlib.Path(folder) / "models", "busy", busy())
        with Serve(pathlib.Path(folder) / "models", "--log-level", "warning", log=pathlib.Path(folder) / "log") as server:
            try:
                os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(2))
                real_time = True
            except PermissionError:
                real_time = False
            print(f"{'':6}{'timeouts':>9}{'late p50 ms':>13}{'p90':>8}{'worst':>8}   client {'' if real_time else 'not '}real-time")
            for protocol in ("http", "grpc"):
                r = measure(server, protocol, arguments.calls, random.Random(1))
                results.append(r)
                print(f"{protocol:6}{r['timeouts']:>9}{r['p50_ms']:>13.2f}{r['p90_ms']:>8.2f}{r['max_ms']:>8.2f}", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps({"real_time_client": real_time, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
