#!/usr/bin/env python3
"""Whether the simulator says what a server does: runs of `tessera load` in process against `tessera simulate` with the same arrivals,
at parts of the capacity that the simulator finds, with profiles of an earlier run.

usage: agreement.py [--models FOLDER] [--workload FILE]... [--device host] [--host-cores LIST] [--policy NAME]... [--loads 0.7,0.95,1.1]
                    [--runs 5] [--seconds 15] [--point-ms 200] [--overhead-us 0] [--json FILE] [--tessera FILE]
       agreement.py --cells FILE... [--profiles FILE] [--name h200] [--json FILE] [--tessera FILE]

The second form measures nothing: it simulates the runs of bench/cells.py that came to their end, whose arrivals a seed gives anew, with
profiles that are older than they are. FILE is what cells.py wrote, or several of them under "runs".

Without --models, makes those of bench/workloads/host_*.json from what scripts/setup has brought. A model's figures are medians over the
runs, each with a seed of its own. Prints what differs and by how much; `within` holds where attainment agrees within 3 points and p50
within 10 % (on a GPU: 1 point, and p99 within 10 %).
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

from objectives import policy_words, with_objectives

ROOT = pathlib.Path(__file__).resolve().parent.parent
DEPS = pathlib.Path(os.environ.get("TESSERA_DEPS", ROOT / ".deps"))
WORKLOADS = [ROOT / "bench" / "workloads" / name for name in ("host_text.json", "host_rows.json")]


def config(most, name, dtype, dims):
    return (f'max_batch_size: {most}\ndynamic_batching {{}}\ninstance_group [{{ count: 2 }}]\n'
            f'input [{{ name: "{name}" data_type: {dtype} dims: {dims} }}]\n')


def make_models(folder):
    """The models of the host's workloads."""
    sys.path.insert(0, str(ROOT / "tests" / "e2e"))
    from small_models import put, slow_rows
    real = DEPS / "models"
    for name, file, tensor, dims in (("orientation", "ocr_orientation", "x", [3, 48, 192]), ("recognition", "ocr_recognition", "x", [3, 48, 320]),
                                     ("faces", "faces", "input.1", [3, 224, 224])):
        put(folder, name, (real / f"{file}.onnx").read_bytes(), config=config(4, tensor, "TYPE_FP32", dims))
    for number, (width, layers) in enumerate(((768, 8), (1024, 8), (1024, 16), (1536, 16)), 1):
        put(folder, f"rows_{number}", slow_rows(width, layers), config=config(8, "IN", "TYPE_FP32", [4]))


def drift(before, after):
    """How much slower the same runs are later, in the median."""
    ratios = [b[2] / a[2] for name in before for a, b in zip(before[name]["points"], after[name]["points"])]
    return statistics.median(ratios)


class Failed(Exception):
    pass


class Runs:
    def __init__(self, arguments, folder):
        self.arguments = arguments
        self.folder = folder
        self.models = arguments.models or folder / "models"
        self.profiles = folder / "profiles.json"
        self.here = ["--model-repository", str(self.models), "--device", arguments.device]
        if arguments.host_cores:
            self.here += ["--host-cores", arguments.host_cores]

    def tessera(self, *words, json_to=None, may_fail=False):
        command = [str(self.arguments.tessera), *map(str, words)]
        if json_to:
            command += ["--json", str(json_to)]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode not in ((0, 3) if may_fail else (0,)):
            raise Failed(f"{' '.join(command)}:\n{done.stderr[-2000:]}")
        return json.loads(pathlib.Path(json_to).read_text()) if json_to else done.stdout

    def profile(self, names, to, *words, device=None):
        return self.tessera("profile", *names, *(device or self.here), "--name", "here", "--point-ms", self.arguments.point_ms, *words, json_to=to)

    def learn_profiles(self, workload, policy, rate):
        """What the scheduler has learned by the end of a run of its own takes the place of what was measured model by model."""
        self.real(workload, policy, "--rate", rate, "--seconds", self.arguments.seconds, "--seed", 1000, "--learned", self.profiles)
        known = json.loads(self.profiles.read_text())
        device = known["devices"].pop(self.device())
        device["host_overhead_us"] = self.arguments.overhead_us
        known["devices"]["here"] = device
        self.profiles.write_text(json.dumps(known))

    def device(self):
        return next(iter(json.loads(self.profiles.read_text())["devices"]))

    def simulated(self, workload, policy, *words):
        return self.tessera("simulate", "--workload", workload, "--profiles", self.profiles, "--device", self.device(), "--policy", policy,
                            *words, json_to=self.folder / "simulated.json")

    def real(self, workload, policy, *words):
        return self.tessera("load", "--workload", workload, *self.here, "--policy", policy, "--cache-dir", self.folder / "cache", *words,
                            json_to=self.folder / "real.json", may_fail=True)


def tenant_figures(results):
    """By tenant: medians over the runs."""
    out = {}
    for tenants in zip(*(result["tenants"] for result in results)):
        name = tenants[0].get("tenant") or tenants[0]["name"]
        out[name] = {key: statistics.median(tenant[key] for tenant in tenants) for key in ("attainment", "p50_ms", "p99_ms")}
    return out


def compare(real, simulated, on_gpu):
    rows = []
    for name, was in real.items():
        said = simulated[name]
        row = {"tenant": name, "real": was, "simulated": said, "attainment_points": 100 * (said["attainment"] - was["attainment"]),
               "p50_ratio": said["p50_ms"] / was["p50_ms"], "p99_ratio": said["p99_ms"] / was["p99_ms"]}
        points, latency = (1, row["p99_ratio"]) if on_gpu else (3, row["p50_ratio"])
        row["within"] = abs(row["attainment_points"]) <= points and abs(latency - 1) <= 0.1
        rows.append(row)
    return rows


def say(cell):
    notes = f", the machine afterwards {cell['slower_afterwards']:.2f} x as slow"
    if cell["invalid_runs"]:
        notes += f"; {cell['invalid_runs']} real runs did not keep their schedule"
    print(f"\n{cell['workload']}, {cell['policy']}, {cell['load']:g} x capacity = {cell['rate']:.1f} a second{notes}")
    print(f"{'tenant':>14}{'attainment':>13}{'simulated':>11}{'p50 ms':>10}{'simulated':>11}{'p99 ms':>10}{'simulated':>11}  within")
    for row in cell["tenants"]:
        was, said = row["real"], row["simulated"]
        print(f"{row['tenant']:>14}{100 * was['attainment']:>12.1f}%{100 * said['attainment']:>10.1f}%{was['p50_ms']:>10.2f}{said['p50_ms']:>11.2f}"
              f"{was['p99_ms']:>10.2f}{said['p99_ms']:>11.2f}  {'yes' if row['within'] else 'NO'}", flush=True)


def models_of(workload):
    return sorted({tenant["model"] for tenant in json.loads(workload.read_text())["tenants"]})


def measure(arguments, folder):
    runs = Runs(arguments, folder)
    if not arguments.models:
        make_models(folder / "models")
    cells = []
    for given in arguments.workload:
        names = models_of(given)
        for policy in arguments.policy:
            for load in arguments.loads:
                # Anew for each cell: what a shared machine is worth changes within minutes.
                before = runs.profile(names, runs.profiles)["devices"]["here"]["models"]
                workload = with_objectives(given, json.loads(runs.profiles.read_text())["devices"][runs.device()], folder)
                runs.learn_profiles(workload, policy, load * runs.simulated(workload, policy, "--search")["capacity"])
                rate = load * runs.simulated(workload, policy, "--search")["capacity"]
                words = [("--rate", rate, "--seconds", arguments.seconds, "--warm-seconds", 2, "--seed", seed) for seed in range(1, arguments.runs + 1)]
                real, simulated = [], []
                for one in words:
                    real.append(runs.real(workload, policy, *one))
                    simulated.append(runs.simulated(workload, policy, *one))
                rows = compare(tenant_figures(real), tenant_figures(simulated), arguments.device != "host")
                cell = {"workload": given.stem, "policy": policy, "load": load, "rate": rate, "invalid_runs": sum(not run["valid"] for run in real),
                        "tenants": rows}
                later = runs.profile(names, folder / "later.json")["devices"]["here"]["models"]
                cell["slower_afterwards"] = round(drift(before, later), 3)
                say(cell)
                cells.append(cell)
    steady = [cell for cell in cells if abs(cell["slower_afterwards"] - 1) <= 0.05]
    return {"command": "scripts/bench agreement " + " ".join(arguments.words), "device": arguments.device, "cores": os.cpu_count(), "runs": arguments.runs,
            "seconds": arguments.seconds, "cells": cells, "within": within(cells), "of": rows_in(cells), "within_where_the_machine_was_steady": within(steady),
            "of_those": rows_in(steady)}


# ---- Runs that bench/cells.py has made ----

MORE = 1.05  # of src/loadgen/rate_probe.cc: a run is so much longer than the least requests take
ASKED = {"seeds": 5, "least_requests": 5000, "warm_seconds": 1}  # of cells.py, where its result does not say



def cells_in(file):
    found = json.loads(file.read_text())
    for run in found.get("runs", [found]):
        for cell in run.get("cells", []):
            yield run, cell


def simulate_again(arguments, workload, run, arm, place, probe):
    """By tenant: offered, attainment, p50 and p99 over the probe's seeds."""
    seeds, least, warm = (run.get(key, value) for key, value in ASKED.items())
    names = [tenant["name"] for tenant in probe["tenants"]]
    seconds = MORE * least / min(tenant["rate"] for tenant in probe["tenants"]) / seeds
    first = 1 if place < 2 else 1 + seeds * (place - 1)  # those of the first two rates are the same

    def one(seed):
        with tempfile.NamedTemporaryFile(suffix=".json") as out:
            subprocess.run([arguments.tessera, "simulate", "--workload", workload, "--profiles", arguments.profiles, "--device", arguments.name,
                            "--policy", policy_words(arm["policy"], names), "--rate", repr(probe["rate"]), "--seconds", repr(seconds),
                            "--warm-seconds", str(warm), "--seed", str(seed), "--json", out.name], check=True, stdout=subprocess.DEVNULL)
            return json.load(out)["tenants"]

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        runs = list(pool.map(one, range(first, first + seeds)))
    out = {}
    for tenants in zip(*runs):
        offered = sum(tenant["offered"] for tenant in tenants)
        out[tenants[0]["name"]] = {"offered": offered, "attainment": sum(tenant["met"] for tenant in tenants) / offered,
                                   **{key: statistics.mean(tenant[key] for tenant in tenants) for key in ("p50_ms", "p99_ms")}}
    return out


def compare_cells(arguments, folder):
    device = json.loads(arguments.profiles.read_text())["devices"][arguments.name]
    cells = []
    for file in arguments.cells:
        for run, cell in cells_in(file):
            name, factor = cell["cell"].split(":")
            workload = with_objectives(ROOT / "bench" / "workloads" / f"{name}.json", device, folder, float(factor))
            for arm in cell["arms"]:
                for place, probe in enumerate(arm["probes"]):
                    if not probe.get("complete") or not all("rate" in tenant for tenant in probe["tenants"]):
                        continue
                    said = simulate_again(arguments, workload, run, arm, place, probe)
                    was = {tenant["name"]: tenant for tenant in probe["tenants"]}
                    same = all(abs(said[tenant]["offered"] - was[tenant]["offered"]) <= 2 for tenant in was)
                    if not same:  # the workload or its objectives have changed since
                        print(f"{cell['cell']}, {arm['policy']} of {run.get('commit', file)}: other arrivals, left out", file=sys.stderr)
                        continue
                    figures = {tenant: {key: row[key] for key in ("attainment", "p50_ms", "p99_ms")} for tenant, row in was.items()}
                    made = {"workload": cell["cell"], "policy": arm["policy"], "load": round(probe["rate"] / arm["said"], 3), "rate": probe["rate"],
                            "commit": run.get("commit"), "invalid_runs": 0, "slower_afterwards": 1, "tenants": compare(figures, said, True)}
                    say(made)
                    cells.append(made)
    by_policy = {}
    for policy in sorted({cell["policy"] for cell in cells}):
        mine = [cell for cell in cells if cell["policy"] == policy]
        by_policy[policy] = {"within": within(mine), "of": rows_in(mine)}
    for cell in cells:
        del cell["slower_afterwards"], cell["invalid_runs"]
        for row in cell["tenants"]:
            del row["simulated"]["offered"]
    return {"command": "bench/agreement.py " + " ".join(arguments.words), "cells": cells, "within": within(cells), "of": rows_in(cells),
            "by_policy": by_policy}


def within(cells):
    return sum(row["within"] for cell in cells for row in cell["tenants"])


def rows_in(cells):
    return sum(len(cell["tenants"]) for cell in cells)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=pathlib.Path)
    parser.add_argument("--workload", type=pathlib.Path, action="append")
    parser.add_argument("--device", default="host")
    parser.add_argument("--host-cores", default="")
    parser.add_argument("--policy", action="append")
    parser.add_argument("--loads", type=lambda text: [float(word) for word in text.split(",")], default=[0.7, 0.95, 1.1])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--point-ms", type=float, default=200)
    parser.add_argument("--overhead-us", type=float, default=0)
    parser.add_argument("--tessera", type=pathlib.Path, default=ROOT / "build" / "bin" / "tessera")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--cells", type=pathlib.Path, nargs="+")
    parser.add_argument("--profiles", type=pathlib.Path, default=ROOT / "bench" / "profiles" / "h200.json")
    parser.add_argument("--name", default="h200")
    arguments = parser.parse_args()
    arguments.words = sys.argv[1:]
    arguments.workload = arguments.workload or WORKLOADS
    arguments.policy = arguments.policy or ["tessera", "temporal"]
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tessera-agreement-"))
    try:
        result = compare_cells(arguments, folder) if arguments.cells else measure(arguments, folder)
    except Failed as failed:
        print(f"agreement: {failed}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"\n{result['within']} of {result['of']} within" + "".join(f"; {policy} {one['within']} of {one['of']}" for policy, one in
                                                                 result.get("by_policy", {}).items()))
    if "of_those" in result:
        print(f"{result['within_where_the_machine_was_steady']} of {result['of_those']} where its speed was the same before and after within 5 %")
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
