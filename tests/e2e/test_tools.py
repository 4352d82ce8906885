"""Programs that people point at such servers: perf_analyzer and curl."""

import json
import os
import pathlib
import shutil
import subprocess

import numpy as np
import pytest

DEPS = pathlib.Path(os.environ.get("TESSERA_DEPS", pathlib.Path(__file__).resolve().parents[2] / ".deps"))
PERF_ANALYZER = DEPS / "bin" / "perf_analyzer"


def perf(server, protocol, *flags, model="simple"):
    # Whether the client works with this server, not how steady the machine is: windows may differ tenfold.
    address = server.http if protocol == "http" else server.grpc
    done = subprocess.run([PERF_ANALYZER, "-m", model, "-u", address, "-i", protocol, "--measurement-interval", "500",
                           "--stability-percentage", "999", "--max-trials", "3", *flags],
                          capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize("flags", [["--concurrency-range", "4"], ["--request-rate-range", "100"],
                                   ["--concurrency-range", "2", "--shared-memory", "system",
                                    "--output-shared-memory-size", "1024"],
                                   ["--concurrency-range", "2", "-b", "4"],
                                   ["--async", "--concurrency-range", "4"]], ids=lambda f: f[0][2:] + str(len(f)))
def test_perf_analyzer(server, protocol, flags):
    status, output = perf(server, protocol, *flags)
    assert status == 0, output
    assert "Throughput:" in output and "Avg latency" in output and "Server:" in output, output
    assert "Throughput: 0 infer/sec" not in output


def test_perf_analyzer_with_streams(server):
    status, output = perf(server, "grpc", "--streaming", "--concurrency-range", "2")
    assert status == 0, output


def test_perf_analyzer_collecting_metrics(server):
    status, output = perf(server, "http", "--collect-metrics", "--metrics-url", f"{server.metrics}/metrics",
                          "--concurrency-range", "1")
    assert status == 0, output


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
def test_curl(server, tmp_path):
    def curl(*arguments):
        done = subprocess.run(["curl", "-sS", "--max-time", "20", *arguments], capture_output=True, timeout=30)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert json.loads(curl(f"http://{server.http}/v2"))["name"] == "tessera"
    assert curl("-o", os.devnull, "-w", "%{http_code}", f"http://{server.http}/v2/health/ready") == b"200"
    body = {"inputs": [{"name": n, "shape": [1, 16], "datatype": "INT32", "data": list(range(16))}
                       for n in ("INPUT0", "INPUT1")]}
    answer = json.loads(curl("-d", json.dumps(body), f"http://{server.http}/v2/models/simple/infer"))
    assert answer["outputs"][0]["data"] == [2 * i for i in range(16)]
    image = tmp_path / "image.bin"
    np.ones((3, 224, 224), np.float32).tofile(image)
    head = curl("-D", "-", "-o", os.devnull, "--data-binary", f"@{image}", "-H", "Inference-Header-Content-Length: 0",
                "-H", "Content-Type: application/octet-stream", f"http://{server.http}/v2/models/image/infer")
    assert head.split()[1] == b"200"
