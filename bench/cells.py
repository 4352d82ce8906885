#!/usr/bin/env python3
"""Policies against each other on one device: each is to pass at 0.97 of what the simulator says it carries, and to fail at 1.03.

usage: cells.py --models FOLDER --profiles FILE [--name NAME] [--device cuda:0] [--cell WORKLOAD:FACTOR]... [--policy NAME]...
                [--only-simulate] [--said FILE] [--record FOLDER] [--no-recheck] [--json FILE] [--tessera FILE]

A cell is a workload of bench/workloads with objectives of so many times the latency of one row on the whole device (mix8:10). Every
tenant has an instance of its own of its model. All arms of a cell run in one process, in turns: `tessera load --arm`. --said takes
what the simulator said from an earlier result instead of asking it; --record keeps a journal of each cell (mix8_10.journal). Prints
each arm, and what it carries against the others; of each rate, too, which part of the atoms' time was busy, and, where bench/models.py
has left FOLDER/flops.json, the useful operations a second (of answers within their objective). On a GPU its profile is measured again first, at three points of
each model of the cells: by how much each differs from --profiles.
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

import card
import sockets
import trials
from objectives import latency, policy_words, tenant_names, with_objectives

ROOT = pathlib.Path(__file__).resolve().parent.parent
POINTS = (1, 8, 16)  # rows, on the whole device
POLICIES = ["temporal", "streams", "fixed", "gslice", "dstack", "tessera"]


class Failed(Exception):
    pass


class Cells:
    def __init__(self, arguments, folder):
        self.arguments = arguments
        self.folder = folder
        self.device = json.loads(arguments.profiles.read_text())["devices"][arguments.name]
        manifest = arguments.models and arguments.models / "flops.json"
        self.flops = json.loads(manifest.read_text()) if manifest and manifest.exists() else {}
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

    def complete(self, probe, models):
        """With what follows from the rest: the interval of the worst attainment, useful operations."""
        held = [tenant for tenant in probe["tenants"] if "attainment" in tenant]
        probe["worst_attainment_95"] = min(held, key=lambda tenant: tenant["attainment"])["attainment_95"] if held else None
        each = [{"met": tenant["met"], "model_of": model} for tenant, model in zip(probe["tenants"], models)]
        probe["useful_flops"] = trials.useful_flops(each, probe["seconds"], self.flops)

    def recheck(self):
        """What three sizes of each model take now, alone on the whole device, against the profiles. Those have in them what runs of other
        models in between cost, up to 18 %, so somewhat less is as it should be."""
        begin = time.monotonic()
        names = sorted({tenant["model"] for cell in self.arguments.cell for tenant in
                        json.loads((self.arguments.workloads / f"{cell.split(':')[0]}.json").read_text())["tenants"]})
        workload = self.folder / "recheck.json"
        workload.write_text(json.dumps({"name": "recheck", "source": "bench/cells.py", "tenants": [
            {"model": name, "rate": 1, "no_slo": True, "max_batch": POINTS[-1]} for name in names]}))
        process = trials.Process(self.arguments.tessera, ["--workload", workload, "--model-repository", self.arguments.models, "--device",
                                                          self.arguments.device, "--cache-dir", self.arguments.cache, "--policy", "temporal"], {})
        try:
            process.wait_until_ready()
            alone = {}
            for rows in POINTS:
                process.ask(f"alone {rows}")
                alone[rows] = process.answer(60)["ms"]
        except trials.Failed as failed:
            raise Failed(f"the profile cannot be measured again: {failed}") from failed
        finally:
            process.end()
        host = self.device.get("host_overhead_us", 0)
        points = [{"model": name, "rows": rows, "us": round(1000 * alone[rows][name] - host, 1), "profile_us": latency(self.device, name, rows)}
                  for name in names for rows in POINTS]
        for point in points:
            point["deviation"] = round(point["us"] / point["profile_us"] - 1, 4)
            print(f"{point['model']:>14}, {point['rows']:2} rows: {point['us']:8.1f} us, {100 * point['deviation']:+.1f} % of the profile's {point['profile_us']:.1f}")
        return {"points": points, "worst": max((point["deviation"] for point in points), key=abs), "seconds": round(time.monotonic() - begin, 1)}

    def measure(self, cell):
        name, factor = cell.split(":")
        folder = self.folder / cell.replace(":", "_")
        folder.mkdir()
        workload = with_objectives(self.arguments.workloads / f"{name}.json", self.device, folder, float(factor))
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
            for probe in arm["probes"]:
                self.complete(probe, [tenant["model"] for tenant in tenants])
        out.update({key: result[key] for key in ("valid", "invalid_because", "arms")})
        out["measured_in_s"] = round(time.monotonic() - begin, 1)
        say(out)
        return out


def say(cell):
    carried = {arm["policy"]: arm["carried"] for arm in cell["arms"]}
    for arm in cell["arms"]:
        tried = ", ".join(f"{probe['rate'] / arm['said']:.2f} {'passed' if probe['passed'] else 'failed'} "
                          f"({100 * probe['worst_attainment']:.1f} %)" for probe in arm["probes"])
        best = max(arm["probes"], key=lambda probe: (probe["passed"], probe["rate"]))
        used = f", atoms busy {100 * best['busy']['share']:.0f} %" if best["busy"] else ""
        used += f", {best['useful_flops'] / 1e12:.2f} TFLOP/s" if best["useful_flops"] else ""
        late = max(probe["lateness"]["p99_ms"] for probe in arm["probes"])
        print(f"{arm['policy']:>10} carries {arm['carried']:8.0f}{used}, {arm['verdict']}: {tried}; late by p99 {late:.3f} ms at most")
    ours = carried.get("tessera", 0)
    print(f"  tessera against {', '.join(f'{name} {ours / rate:.2f}' for name, rate in carried.items() if rate > 0 and name != 'tessera')}"
          f"; {cell['measured_in_s']:.0f} s" + ("" if cell["valid"] else f"; {cell['invalid_because']}"), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=pathlib.Path)
    parser.add_argument("--profiles", type=pathlib.Path, default=ROOT / "bench" / "profiles" / "h200.json")
    parser.add_argument("--workloads", type=pathlib.Path, default=ROOT / "bench" / "workloads")
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
    parser.add_argument("--recheck", action=argparse.BooleanOptionalAction, default=None, help="of a GPU's profile, before (yes)")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--tessera", default=sockets.beside("tessera"))
    arguments = parser.parse_args()
    arguments.cell = arguments.cell or ["mix4:5", "mix8:5", "mix8:10", "mix16:10", "other4:10"]
    arguments.policy = arguments.policy or POLICIES
    if not arguments.models and not arguments.only_simulate:
        parser.error("--models FOLDER is needed, as bench/models.py makes it")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tessera-cells-", dir=arguments.models and arguments.models.absolute().parent))
    result = {"command": "bench/cells.py " + " ".join(sys.argv[1:]), "device": arguments.name, "hardware": "",
              "card": {} if arguments.only_simulate else card.card_of(arguments.device), "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
              "seeds": arguments.seeds,
              "least_requests": arguments.least_requests, "warm_seconds": arguments.warm_seconds, "cells": []}
    try:
        cells = Cells(arguments, folder)
        result["hardware"] = cells.device["hardware"]
        if arguments.recheck if arguments.recheck is not None else arguments.device != "host" and not arguments.only_simulate:
            result["recheck"] = cells.recheck()
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
