"""bench/sockets.py, bench/swaps.py and bench/critical.py on the host."""

import json
import os
import subprocess
import sys

import pytest

from serving import BINARY, ROOT
from small_models import put, simple

BARE = BINARY.with_name("bench_bare")
SHARING = BINARY.with_name("bench_gpu_sharing")

# What stands for the daemon of MPS, which nobody on the host asks.
DAEMON = """#!/usr/bin/env python3
import os, pathlib, signal, sys, time
pid = pathlib.Path(os.environ["CUDA_MPS_PIPE_DIRECTORY"]) / "pid"
if sys.argv[1:] == ["-f"]:
    pid.write_text(str(os.getpid()))
    time.sleep(600)
else:
    os.kill(int(pid.read_text()), signal.SIGTERM)
"""


def bench(name, folder, *flags, **more):
    out = folder / "out.json"
    done = subprocess.run([sys.executable, ROOT / "bench" / name, "--models", folder / "models", "--json", out, *map(str, flags)],
                          capture_output=True, text=True, timeout=200, **more)
    return done, json.loads(out.read_text()) if out.exists() else {}


def test_sockets_in_turns(tmp_path):
    for name in ("one", "two"):
        put(tmp_path / "models", name, simple())
    devices = "host" if len(os.sched_getaffinity(0)) < 2 else "host host/0,host/1"
    done, found = bench("sockets.py", tmp_path, "--tessera", BINARY, "--bare", tmp_path / "nothing", "--devices", devices, "--mix",
                        "one,two,one", "--seconds", 0.3, "--warm-seconds", 0.1, "--rounds", 2, "--outstanding", 2)
    assert done.returncode == 0, done
    assert "the stack's own limit is not measured" in done.stderr
    for device in devices.split():
        arms = found["summary"][device]
        assert set(arms) == {"in process", "http", "grpc"}
        for arm in ("http", "grpc"):
            assert len(arms[arm]["images_per_s"]) == 2 and min(arms[arm]["of_in_process"]) > 0
            # Two inputs of 64 bytes, of which HTTP and gRPC copy those that come in two pieces, or unaligned.
            assert all(0 <= copied <= 4 * 128 for copied in arms[arm]["copied_bytes_per_image"])
            assert min(arms[arm]["server_us_per_image"]) > 0
    assert len(done.stdout.splitlines()) == 1 + 3 * len(devices.split())


@pytest.mark.skipif(not BARE.exists(), reason="bench_bare is not built")
@pytest.mark.parametrize("protocol", ("http", "grpc"))
def test_a_bare_server_answers_whatever_model_is_asked(tmp_path, protocol):
    server = subprocess.Popen([BARE, "2"], stdout=subprocess.PIPE, text=True)
    try:
        words = dict(word.split("=") for word in server.stdout.readline().split()[1:])
        done = subprocess.run([BINARY, "load", "--url", f"{protocol}://{words[protocol]}", "--model", "any", "--model", "other",
                               "--outstanding", "4", "--seconds", "0.5", "--warm-seconds", "0.1", "--json", tmp_path / "out.json"],
                              capture_output=True, text=True, timeout=60)
    finally:
        server.terminate()
        assert server.wait(20) == 0
    assert done.returncode in (0, 3), done
    tenants = json.loads((tmp_path / "out.json").read_text())["tenants"]
    assert [tenant["name"] for tenant in tenants] == ["any", "other"]
    assert all(tenant["answered"] > 10 and not tenant["failed"] for tenant in tenants)


def test_swaps_beside_neighbours(tmp_path):
    for name in ("one", "two"):
        put(tmp_path / "models", name, simple())
    done, found = bench("swaps.py", tmp_path, "--tessera", BINARY, "--device", "host", "--neighbours", "one,two", "--changed", "two",
                        "--seconds", 0.3, "--rounds", 2)
    assert done.returncode == 0, done
    assert len(found["rounds"]) == 2
    for each in found["rounds"]:
        assert set(each) == {"alone", "load two", "swap two", "unload"}
        assert set(each["unload"]["took_s"]) == {"two_0", "two_1"} and set(each["load two"]["took_s"]) == {"two_0"}
        assert all(neighbour["answered"] > 0 for neighbour in each["alone"]["neighbours"].values())
    assert [line.split("  ")[0] for line in done.stdout.splitlines()[1:4]] == ["load two", "swap two", "unload"]


@pytest.mark.skipif(not SHARING.exists(), reason="bench_gpu_sharing is not built")
def test_a_critical_process_beside_greedy_ones(tmp_path):
    for name in ("one", "two"):
        put(tmp_path / "models", name, simple())
    daemon = tmp_path / "bin" / "nvidia-cuda-mps-control"
    daemon.parent.mkdir()
    daemon.write_text(DAEMON)
    daemon.chmod(0o755)
    done, found = bench("critical.py", tmp_path, "--program", SHARING, "--device", "host", "--critical", "one", "--greedy", "two",
                        "--rounds", 2, "--seconds", 0.2, "--arms", "mps,turns",
                        env={**os.environ, "PATH": f"{daemon.parent}:{os.environ['PATH']}"})
    assert done.returncode == 0, done
    for arm in ("mps", "turns"):
        mix = found["arms"][arm]["two"]
        assert mix["ratio"] > 0 and len(mix["greedy_images_per_s"]) == 3 and min(mix["greedy_images_per_s"]) > 0
    assert len(done.stdout.splitlines()) == 2
