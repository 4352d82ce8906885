"""`tessera selftest`: a table, the same as JSON, and a status that says whether all holds."""

import json
import os
import re
import subprocess

import pytest

from serving import BINARY
from small_models import put, simple


def selftest(*flags):
    return subprocess.run([BINARY, "selftest", *map(str, flags)], capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("depth", ["--quick", "--full"])
def test_the_host_passes_and_both_forms_say_so(tmp_path, depth):
    done = selftest("--device", "host", depth, "--json", tmp_path / "findings.json")
    assert done.returncode == 0 and done.stderr == "", done
    found = json.loads((tmp_path / "findings.json").read_text())
    assert found["passed"] is True
    verdicts = {each["name"]: each["verdict"] for each in found["findings"]}
    for name, verdict in verdicts.items():
        assert any(line.startswith(verdict.ljust(8) + name) for line in done.stdout.splitlines()), name
    assert {"device", "atoms", "engine", "answers"} <= set(verdicts) and set(verdicts.values()) == {"", "ok"}
    slices = int(re.search(r"slices (\d+)", found["findings"][1]["value"]).group(1))
    runs = [name for name in verdicts if name.startswith("batch ")]
    assert len(runs) == (2 * min(slices, 2) if depth == "--quick" else 4 * slices * 2)


@pytest.mark.skipif(os.path.exists("/dev/nvidiactl"), reason="this host has a GPU")
def test_a_device_that_is_not_there_fails():
    done = selftest("--device", "cuda:0")
    assert done.returncode == 1
    assert [line for line in done.stderr.splitlines() if line.startswith("tessera selftest: --device: no NVIDIA driver")]
    assert "FAILED" in done.stdout


def test_rows_are_measured_on_models(tmp_path):
    """On the host: that figures come, and that what cannot be measured there says why."""
    for name in ("resnet50", "mobilenet_v2", "vgg19"):
        put(tmp_path / "models", name, simple())
    done = selftest("--device", "host", "--models", tmp_path / "models", "--json", tmp_path / "findings.json",
                    "--rows", "homed,sharing")
    assert done.returncode == 0, done
    rows = {row["id"]: row for row in json.loads((tmp_path / "findings.json").read_text())["rows"]}
    assert rows["share_b1_temporal"]["figure"] > 0 and rows["share_b1_temporal"]["verdict"] in ("met", "missed")
    assert 0 < rows["share_dispatcher_busy"]["figure"] < 1
    assert rows["share_of_bare"]["verdict"] == "not measured", "on a GPU alone"
    assert rows["homed_ratio"]["verdict"] == "not measured" and "GPU" in rows["homed_ratio"]["note"]
    assert rows["loading_p99"]["verdict"] == "not measured"
    assert re.search(r"^not measured +a homed plan's time", done.stdout, re.MULTILINE)
    even = rows["share_even"]
    assert even["min"] <= even["figure"] <= even["max"] and even["repetitions"] == 1
    assert {each["note"].split(";")[0] for each in even["subjects"]} == {"fixed, batches of 1", "fixed, batches of 8"}


def test_the_whole_table_is_there(tmp_path):
    """What is measured elsewhere names the command; models that are absent are told by name."""
    put(tmp_path / "models", "resnet50", simple())
    done = selftest("--device", "host", "--models", tmp_path / "models", "--json", tmp_path / "findings.json",
                    "--rows", "sharing")
    assert done.returncode == 0, done
    rows = {row["id"]: row for row in json.loads((tmp_path / "findings.json").read_text())["rows"]}
    for name, command in {"hot_model": "tessera load --search", "sockets_share": "bench/sockets.py",
                          "sockets_halves": "--devices cuda:0/0-7,cuda:0/8-15", "primitives": "bench/primitives.py",
                          "pair_sockets": "--devices 'cuda:0 cuda:0,cuda:1'", "memory": "bench_cuda_engine",
                          "upload_p99": "bench/uploads.py", "h2d_of_bare": "bench_input_copies"}.items():
        assert rows[name]["verdict"] == "not measured" and command in rows[name]["note"], name
    assert "mobilenet_v2" in rows["share_b1_temporal"]["note"], "which is not there"


def test_two_devices_are_compared(tmp_path):
    """On parts of the host: that both compute, and that one alone says what is missing."""
    for name in ("resnet50", "mobilenet_v2", "vgg19"):
        put(tmp_path / "models", name, simple())
    rows = {}
    for device in ("host/0", "host/0,host/1"):
        done = selftest("--device", device, "--models", tmp_path / "models", "--json", tmp_path / "findings.json",
                        "--rows", "pair")
        assert done.returncode == 0, done
        found = json.loads((tmp_path / "findings.json").read_text())["rows"]
        rows[device] = {row["id"]: row for row in found
                        if row["id"].startswith("pair_") and row["id"] != "pair_sockets"}  # measured elsewhere
    assert {row["note"] for row in rows["host/0"].values()} == {"--device names one device"}
    both = rows["host/0,host/1"]
    assert "slices of equal size" in both["pair_loading_p99"]["note"]
    assert both["pair_images"]["figure"] > 0 and both["pair_replica"]["figure"] > 0
    assert re.search(r"tessera on 0,1 ", done.stdout)


def test_unknown_rows_are_refused():
    done = selftest("--rows", "everything")
    assert done.returncode == 2 and "--rows" in done.stderr
