#!/usr/bin/env python3
"""Policies against each other on one device: each is to pass at 0.97 of what the simulator says it carries, and to fail at 1.03.

usage: cells.py --models FOLDER --profiles FILE [--name NAME] [--device cuda:0] [--cell WORKLOAD:FACTOR]... [--policy NAME]...
                [--only-simulate] [--said FILE] [--record FOLDER] [--json FILE] [--tessera FILE]

A cell is a workload of bench/workloads with objectives of so many times the latency of one row on the whole device (mix8:10). Every
tenant has an instance of its own of its model. All arms of a cell run in one process, in turns: `tessera load --arm`. --said takes
what the simulator said from an earlier result instead of asking it; --record keeps a journal of each cell (mix8_10.journal). Prints
each arm, and what it carries against the others.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import sockets
from objectives import policy_words, tenant_names, with_objectives

ROOT = pathlib.Path(__file__).resolve().parent.parent
POLICIES = ["temporal", "streams", "fixed", "gslice", "dstack", "tessera"]


class Failed(Exception):
    pass


class Cells:
    def __init__(self, arguments, folder):
        self.arguments = arguments
        self.folder = folder
        self.device = json.loads(arguments.profiles.read_text())["devices"][arguments.name]
        self.said = json.loads(arguments.said.read_text())["cells"] if arguments.said else []

    def run(self, words, json_to, allowed=(0,), shown=False):
        command = [str(self.arguments.tessera), *map(str, words), "--json", str(json_to)]
        done = subprocess.run(command, stdout=None if shown else subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode not in allowed:
            raise Failed(f"{' '.join(command)}:\n{done.stderr[-2000:]}")
        return json.loads(json_to.read_text())

    def simulate(self, cell, workload, names):
        """What each policy is said to carry."""
        known = next((one["said"] for one in self.said if one["cell"] == cell), {})

        def one(name):
            if name in known:
                return known[name]
            words = ["simulate", "--workload", workload, "--profiles", self.arguments.profiles, "--device", self.arguments.name, "--policy",
                     policy_words(name, names), "--search", "--seeds", self.arguments.seeds, "--warm-seconds", self.arguments.warm_seconds]
            return self.run(words, self.folder / f"{cell.replace(':', '_')}_{name}.json")["capacity"]

        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            return dict(zip(self.arguments.policy, pool.map(one, self.arguments.policy)))

    def measure(self, cell):
        name, factor = cell.split(":")
        folder = self.folder / cell.replace(":", "_")
        folder.mkdir()
        workload = with_objectives(ROOT / "bench" / "workloads" / f"{name}.json", self.device, folder, float(factor))
        tenants = json.loads(workload.read_text())["tenants"]
        names = tenant_names(tenants)
        begin = time.monotonic()
        out = {"cell": cell, "said": self.simulate(cell, workload, names),
               "objectives_ms": {each: tenant["slo_ms"] for each, tenant in zip(names, tenants)}}
        out["simulated_in_s"] = round(time.monotonic() - begin, 1)
        print(f"{cell}: said to carry " + ", ".join(f"{policy} {rate:.0f}" for policy, rate in out["said"].items()), flush=True)
        if self.arguments.only_simulate:
            return out
        begin = time.monotonic()
        own = folder / "models"
        sockets.tenants_repository(self.arguments.models, tenants, own)
        words = ["load", "--workload", workload, "--own-models", "--model-repository", own, "--device", self.arguments.device, "--cache-dir",
                 self.arguments.cache, "--seeds", self.arguments.seeds, "--warm-seconds", self.arguments.warm_seconds,
                 "--least-requests", self.arguments.least_requests]
        if self.arguments.record:
            words += ["--record", self.arguments.record / f"{folder.name}.journal"]
        for policy, rate in out["said"].items():
            if rate > 0:
                words += ["--arm", f"{policy_words(policy, names)}={rate:.6g}"]
        result = self.run(words, folder / "arms.json", (0, 3), shown=True)
        for arm in result["arms"]:
            arm["policy"] = arm["policy"].split(":")[0]
        out.update({key: result[key] for key in ("valid", "invalid_because", "arms")})
        out["measured_in_s"] = round(time.monotonic() - begin, 1)
        say(out)
        return out


def say(cell):
    carried = {arm["policy"]: arm["carried"] for arm in cell["arms"]}
    for arm in cell["arms"]:
        tried = ", ".join(f"{probe['rate'] / arm['said']:.2f} {'passed' if probe['passed'] else 'failed'} "
                          f"({100 * probe['worst_attainment']:.1f} %)" for probe in arm["probes"])
        print(f"{arm['policy']:>10} carries {arm['carried']:8.0f}, {arm['verdict']}: {tried}")
    ours = carried.get("tessera", 0)
    print(f"  tessera against {', '.join(f'{name} {ours / rate:.2f}' for name, rate in carried.items() if rate > 0 and name != 'tessera')}"
          f"; {cell['measured_in_s']:.0f} s" + ("" if cell["valid"] else f"; {cell['invalid_because']}"), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=pathlib.Path)
    parser.add_argument("--profiles", type=pathlib.Path, default=ROOT / "bench" / "profiles" / "h200.json")
    parser.add_argument("--name", default="h200")
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--cell", action="append")
    parser.add_argument("--policy", action="append")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--warm-seconds", type=float, default=1)
    parser.add_argument("--least-requests", type=int, default=5000)
    parser.add_argument("--cache", default="")
    parser.add_argument("--said", type=pathlib.Path)
    parser.add_argument("--record", type=pathlib.Path)
    parser.add_argument("--only-simulate", action="store_true")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--tessera", default=sockets.beside("tessera"))
    arguments = parser.parse_args()
    arguments.cell = arguments.cell or ["mix4:5", "mix8:5", "mix8:10", "mix16:10", "other4:10"]
    arguments.policy = arguments.policy or POLICIES
    if not arguments.models and not arguments.only_simulate:
        parser.error("--models FOLDER is needed, as bench/models.py makes it")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tessera-cells-", dir=arguments.models and arguments.models.absolute().parent))
    result = {"command": "bench/cells.py " + " ".join(sys.argv[1:]), "device": arguments.name, "hardware": "", "seeds": arguments.seeds,
              "least_requests": arguments.least_requests, "warm_seconds": arguments.warm_seconds, "cells": []}
    try:
        cells = Cells(arguments, folder)
        result["hardware"] = cells.device["hardware"]
        for cell in arguments.cell:
            result["cells"].append(cells.measure(cell))
            if arguments.json:  # after each, so that nothing is lost
                arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    except Failed as failed:
        print(f"cells: {failed}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
