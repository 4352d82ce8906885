"""The smallest model under perf_analyzer 2.41, the load generator that Triton's users know: latency at one request at a
time and throughput at sixteen, over HTTP and gRPC, with the processor time that client and server took.

  scripts/bench perf_analyzer [--seconds N] [--json FILE]
"""

import argparse
import csv
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from serving import Serve  # noqa: E402
from small_models import put, simple  # noqa: E402

BARS = {("http", 1): "p50 <= 100 us", ("http", 16): ">= 30,000/s", ("grpc", 1): "p50 <= 120 us",
        ("grpc", 16): ">= 25,000/s"}


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(server, protocol, concurrency, seconds, folder):
    report = pathlib.Path(folder) / "report.csv"
    report.unlink(missing_ok=True)
    address = server.http if protocol == "http" else server.grpc
    before = os.times()
    server_before, rows_before = cpu_seconds(server.process.pid), server.metric("nv_inference_count", model="simple")
    command = [ROOT / ".deps" / "bin" / "perf_analyzer", "-m", "simple", "-u", address, "-i", protocol,
               "--concurrency-range", str(concurrency), "--measurement-interval", str(seconds * 1000), "--max-trials", "4",
               "--stability-percentage", "50", "--percentile", "50", "-f", report]
    # Over HTTP 2.41 sometimes crashes with --async (it reads a message of libcurl's after it has freed it).
    command.append("--async" if concurrency > 1 and protocol == "grpc" else "--sync")
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10 * seconds + 30)
    except subprocess.TimeoutExpired as late:
        sys.exit(f"perf_analyzer hangs; so far it said:\n{(late.stdout or b'').decode()}")
    if not report.exists():
        sys.exit(f"perf_analyzer failed:\n{done.stdout}{done.stderr}")
    after = os.times()
    rows = server.metric("nv_inference_count", model="simple") - rows_before
    client = after.children_user + after.children_system - before.children_user - before.children_system
    wall = after.elapsed - before.elapsed
    (row,) = csv.DictReader(report.open())
    return {
        "protocol": protocol, "concurrency": concurrency, "infer_per_s": float(row["Inferences/Second"]),
        "p50_us": float(row["p50 latency"]), "p99_us": float(row["p99 latency"]),
        "server_cpu_us": (cpu_seconds(server.process.pid) - server_before) / rows * 1e6,
        "client_cpu_us": client / rows * 1e6, "client_cores": client / wall, "bar": BARS[protocol, concurrency],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()
    results = []
    # Client and server on the same two cores, whatever the machine has.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    with tempfile.TemporaryDirectory() as folder:
        put(pathlib.Path(folder) / "models", "simple", simple())
        with Serve(pathlib.Path(folder) / "models", "--log-level", "warning", log=pathlib.Path(folder) / "log") as server:
            print(f"{'':6}{'at once':>8}{'infer/s':>10}{'p50 us':>9}{'p99 us':>9}{'server CPU us':>15}{'client CPU us':>15}"
                  f"{'client cores':>14}  bar")
            for protocol in ("http", "grpc"):
                for concurrency in (1, 16):
                    r = measure(server, protocol, concurrency, arguments.seconds, folder)
                    results.append(r)
                    print(f"{protocol:6}{concurrency:>8}{r['infer_per_s']:>10.0f}{r['p50_us']:>9.0f}{r['p99_us']:>9.0f}"
                          f"{r['server_cpu_us']:>15.1f}{r['client_cpu_us']:>15.1f}{r['client_cores']:>14.2f}  {r['bar']}",
                          flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps({"cores": len(os.sched_getaffinity(0)), "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
