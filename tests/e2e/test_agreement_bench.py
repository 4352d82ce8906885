"""`bench/agreement.py --cells`: runs that cells.py has made are simulated with their own arrivals."""

import json
import pathlib
import subprocess
import sys

from serving import BINARY

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))
from objectives import with_objectives  # noqa: E402

PROFILES = ROOT / "bench/profiles/h200.json"
RATE = 20000  # a second, in overload, so that a run is short


def played(folder, seed, seconds):
    workload = with_objectives(ROOT / "bench/workloads/mix4.json", json.loads(PROFILES.read_text())["devices"]["h200"], folder, 10)
    out = folder / "played.json"
    subprocess.run([BINARY, "simulate", "--workload", workload, "--profiles", PROFILES, "--device", "h200", "--policy", "temporal", "--rate", str(RATE),
                    "--seconds", str(seconds), "--seed", str(seed), "--json", out], check=True, stdout=subprocess.DEVNULL)
    return json.loads(out.read_text())["tenants"]


def agreement(file, out):
    done = subprocess.run([sys.executable, ROOT / "bench/agreement.py", "--cells", file, "--tessera", BINARY, "--json", out], capture_output=True,
                          text=True, timeout=120)
    assert done.returncode == 0, done
    return json.loads(out.read_text()), done


def test_runs_are_simulated_with_their_own_arrivals(tmp_path):
    tenants = played(tmp_path, 1, 0.01)  # for their rates
    seconds = 1.05 * 5000 / min(tenant["rate"] for tenant in tenants) / 5
    runs = [played(tmp_path, seed, repr(seconds)) for seed in range(1, 6)]
    pooled = []
    for same in zip(*runs):
        offered = sum(tenant["offered"] for tenant in same)
        pooled.append({"name": same[0]["name"], "rate": same[0]["rate"], "offered": offered,
                       "attainment": sum(tenant["met"] for tenant in same) / offered,
                       "p50_ms": sum(tenant["p50_ms"] for tenant in same) / 5, "p99_ms": sum(tenant["p99_ms"] for tenant in same) / 5})
    probe = {"rate": RATE, "complete": True, "tenants": pooled}
    cell = {"cell": "mix4:10", "arms": [{"policy": "temporal", "said": RATE, "probes": [probe, {**probe, "complete": False}]}]}
    file, out = tmp_path / "cells.json", tmp_path / "out.json"

    file.write_text(json.dumps({"runs": [{"commit": "one", "cells": [cell]}]}))
    found, _ = agreement(file, out)
    assert (found["within"], found["of"]) == (4, 4)
    assert all(abs(row["attainment_points"]) < 1e-9 for row in found["cells"][0]["tenants"])

    pooled[0]["attainment"] += 0.02
    pooled[1]["p99_ms"] *= 1.2
    file.write_text(json.dumps({"cells": [cell]}))
    found, _ = agreement(file, out)
    assert (found["within"], found["of"]) == (2, 4)

    pooled[0]["offered"] += 100
    file.write_text(json.dumps({"cells": [cell]}))
    found, done = agreement(file, out)
    assert found["of"] == 0 and "other arrivals" in done.stderr
