"""`tessera simulate` from the command line: its tables and files, that a seed repeats, and what it says of bad input."""

import csv
import json
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("TESSERA_BIN", ROOT / "build/bin/tessera"))
PROFILES = ROOT / "bench/profiles/h100.json"
MIX4 = ROOT / "bench/workloads/mix4.json"


def simulate(*arguments, workload=MIX4, profiles=PROFILES, device="h100", cwd=None):
    return subprocess.run([BINARY, "simulate", "--workload", workload, "--profiles", profiles, "--device", device,
                           *arguments], capture_output=True, text=True, timeout=120, cwd=cwd)


def fails_with(done, *parts):
    assert done.returncode == 1 and done.stdout == "", done
    assert len(done.stderr.splitlines()) == 1, done.stderr
    for part in parts:
        assert part in done.stderr
    return True


def test_a_table_and_a_file(tmp_path):
    done = simulate("--rate", "2000", "--seconds", "2", "--json", tmp_path / "out.json")
    assert done.returncode == 0 and done.stderr == "", done
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["tenant", "SLO", "ms", "offered", "answered", "rejected", "p50", "ms", "p99", "ms",
                                "attainment"]
    assert [line.split()[0] for line in lines[1:6]] == ["resnet50", "mobilenet_v2", "resnet50_2", "vgg19", "all"]
    result = json.loads((tmp_path / "out.json").read_text())
    assert len(result["tenants"]) == 4 and result["worst_attainment"] > 0.99
    for tenant in result["tenants"]:
        assert tenant["offered"] == tenant["answered"] + tenant["rejected"]
        assert tenant["p50_ms"] <= tenant["p99_ms"] and tenant["attainment"] <= 1
    # Rates are inverse to the cost of a batch of eight.
    rates = [tenant["rate"] for tenant in result["tenants"]]
    assert abs(sum(rates) - 2000) < 0.1 and rates[1] > rates[0] > rates[3]


def test_a_seed_repeats_byte_for_byte(tmp_path):
    def outcome(seed):
        done = simulate("--rate", "4000", "--seconds", "1", "--devices", "3", "--devices-per-node", "2", "--seed", seed,
                        "--json", "out.json", cwd=tmp_path)
        assert done.returncode == 0, done
        return done.stdout, (tmp_path / "out.json").read_bytes()

    assert outcome("7") == outcome("7")
    assert outcome("7")[1] != outcome("8")[1]


def test_devices_come_and_go(tmp_path):
    done = simulate("--rate", "2000", "--seconds", "2", "--devices", "3", "--lose", "0@0.5", "--join", "2@0.3", "--lose", "2@1",
                    "--json", tmp_path / "out.json")
    assert done.returncode == 0 and done.stderr == "", done
    assert "failed" in done.stdout.splitlines()[0]
    tenants = json.loads((tmp_path / "out.json").read_text())["tenants"]
    failed = sum(tenant["failed"] for tenant in tenants)
    assert 0 < failed < 64 and sum(tenant["offered"] for tenant in tenants) > 3000
    for tenant in tenants:
        assert tenant["offered"] == tenant["answered"] + tenant["rejected"] + tenant["failed"]
    assert fails_with(simulate("--rate", "10", "--devices", "2", "--lose", "2@1"), "there is no device 2, they count from 0 to 1")
    assert fails_with(simulate("--rate", "10", "--lose", "0"), "--lose", "'0' is no device and moment, as 1@2.5")
    assert fails_with(simulate("--rate", "10", "--devices", "2", "--join", "1@-1"), "--join")
    assert simulate("--search", "--lose", "0@1").returncode != 0


def test_models_leave_and_come_back(tmp_path):
    out = tmp_path / "out.json"
    done = simulate("--rate", "2", "--seconds", "600", "--evictable", "--memory-mb", "2500", "--json", out,
                    workload=ROOT / "bench/workloads/azure.json")
    assert done.returncode == 0 and done.stderr == "", done
    assert "came back" in done.stdout.splitlines()[-1]
    result = json.loads(out.read_text())
    total, steps = result["placement"]["total"], result["placement"]["steps"]
    assert len(steps) == 100 and result["placement"]["step_seconds"] == 6.01
    for what in ("first", "back", "migrations", "further", "unloads", "requests", "met", "waited"):
        assert sum(step[what] for step in steps) == total[what]
    assert total["requests"] > 500 and total["back"] + total["migrations"] > 0 and total["waited"] > 0
    assert all(step["replicas"] <= 12 for step in steps), "more than fit"
    assert fails_with(simulate("--rate", "50", "--memory-mb", "2500", workload=ROOT / "bench/workloads/azure.json"), "finds no memory")
    assert simulate("--search", "--evictable").returncode != 0
    assert simulate("--rate", "50", "--memory-mb", "0").returncode != 0


def test_runs_are_a_line_each(tmp_path):
    out, runs = tmp_path / "out.json", tmp_path / "runs.csv"
    done = simulate("--rate", "200", "--seconds", "2", "--json", out, "--runs", runs)
    assert done.returncode == 0 and done.stderr == "", done
    with open(runs, newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    result = json.loads(out.read_text())
    assert {line["tenant"] for line in lines} == {tenant["name"] for tenant in result["tenants"]}
    # Of requests that came before counting began some runs ended in it, and of the last ones some after it.
    answered = sum(tenant["answered"] for tenant in result["tenants"])
    assert abs(sum(int(line["rows"]) for line in lines) - answered) < 20
    last = {}
    for line in lines:
        assert int(line["rows"]) <= int(line["batch_size"]) and int(line["begin_ns"]) < int(line["end_ns"])
        for atom in range(int(line["first_atom"]), int(line["first_atom"]) + int(line["atoms"])):
            assert last.get(atom, 0) <= int(line["begin_ns"]), "two at once on an atom"
            last[atom] = int(line["end_ns"])
    assert fails_with(simulate("--rate", "200", "--runs", tmp_path / "no" / "folder.csv"), "cannot write", "--runs")
    assert simulate("--search", "--runs", runs).returncode != 0


def test_a_search_prints_capacity_and_bound(tmp_path):
    small = tmp_path / "small.json"
    small.write_text(json.dumps({"name": "small", "source": "a test", "tenants": [
        {"model": "mobilenet_v2", "rate": 1, "slo_ms": 5}]}))
    done = simulate("--search", "--seeds", "2", "--policy", "temporal", "--json", tmp_path / "out.json", workload=small)
    assert done.returncode == 0, done
    assert done.stdout.startswith("capacity ") and "fractional bound" in done.stdout and "clairvoyant bound" in done.stdout
    result = json.loads((tmp_path / "out.json").read_text())
    low, high = result["capacity_95"]
    assert 0 < low <= result["capacity"] <= high and result["capacity"] < min(result["fractional_bound"], result["clairvoyant_bound"])


def test_misses_are_shared(tmp_path):
    """Without that (src/sched/balance.h) the worst of these tenants attains 98.5 %."""
    done = simulate("--slo-factor", "5", "--rate", "2100", "--seconds", "30", "--warm-seconds", "5", "--seed", "2", "--json", tmp_path / "out.json",
                    workload=ROOT / "bench/workloads/mix16.json", profiles=ROOT / "bench/profiles/h200.json", device="h200")
    assert done.returncode == 0, done
    assert json.loads((tmp_path / "out.json").read_text())["worst_attainment"] > 0.99


def test_bad_input_is_one_line_that_says_what_to_do(tmp_path):
    bad = tmp_path / "bad.json"
    bad.write_text('{"name": "x", "source": "y",\n "tenants": [{"model": "resnet50", "rate": 0}]}')
    assert fails_with(simulate(workload=bad), f"{bad}:2:44: 'rate' is a number from")
    bad.write_text('{"name": "x", "source": "y", "tenants": [{"model": "lenet", "rate": 1}]}')
    assert fails_with(simulate(workload=bad), "no profile of model 'lenet'", "mobilenet_v2, resnet50, vgg19")
    assert fails_with(simulate(), "--rate")
    assert fails_with(simulate("--rate", "1", device="b200"), "no device 'b200'", "h100")
    assert fails_with(simulate("--rate", "1", "--policy", "best"), "unknown policy 'best'", "temporal")
    assert fails_with(simulate("--rate", "1", workload=tmp_path / "none.json"), "none.json")
    assert fails_with(simulate("--search", "--slo-factor", "0.5"), "objective is below")
    done = simulate("--rate", "1", "--seconds", "0.1", "--json", tmp_path / "no" / "out.json")
    assert done.returncode == 1 and "choose another --json" in done.stderr


def test_help_fits_a_screen():
    done = subprocess.run([BINARY, "simulate", "--help"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert len(lines) <= 40 and max(map(len, lines)) <= 120
