#!/usr/bin/env python3
"""Cells of bench/cells.py as one process for each tenant, which share the GPU by NVIDIA's MPS: what they carry together.

usage: cells_mps.py --models FOLDER --profiles FILE [--name NAME] [--device cuda:0] [--cell WORKLOAD:FACTOR]... [--arms ARM,ARM...]
                    [--inner auto|temporal|streams] [--lower RATE] [--upper RATE] [--steps 6] [--step-seconds 10] [--capacities FILE]
                    [--utilisation] [--json FILE]

Arms: mps (processes launch on all processors), mps-percent (each has an equal part of them), mps-percent:P (each has P % of them; parts may
overlap), mps-need (parts by what each tenant asks for), plain (no daemon: processes take turns on a GPU; on a host they do as they do).
Each process is `tessera load --trials`, a server in its process with one model, batches of up to the cell's size, the cell's
objective. What decides in it is `temporal` (one batch at a time, the largest that is in time, requests that cannot be in time are turned away) or
`streams` (as many batches at once as the model has lanes): --inner auto tries both before the search, and takes the one whose worst
tenant attains more. All begin a run together, at rates in the cell's proportions. A rate passes where every tenant attains 99 %,
pooled over the runs of its step; the search halves the ratio between --lower and --upper (0.4 and 1.2 of what tessera carries),
which is not tried itself before the last step, and then only where nothing has passed.

What the policies carry comes from --capacities (bench/results/gpu_cells_h200.json, the newest run with the cell) or --capacity
POLICY=RATE. --utilisation adds, of mps and of one process under temporal and under tessera: atoms' busy time, useful operations a second and what the card
says of itself, at one rate that all three carry (0.95 of the least) and at each one's own.
"""

import argparse
import json
import math
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time

import card
import mps_daemon
import sockets
import trials
from objectives import latency, tenant_names, with_objectives

ROOT = pathlib.Path(__file__).resolve().parent.parent
COMMON = 0.95  # of the least capacity
INNER = ("temporal", "streams")
SPREAD = 1000  # between the seeds of a run, so that no two processes have the same arrivals


def capacities(file: pathlib.Path, cell: str) -> dict:
    """{policy: rate} of the newest run that has it; runs come newest first."""
    found = {}
    text = json.loads(file.read_text()) if file.is_file() else {}
    for run in text.get("runs", [text]):
        for one in run.get("cells", []):
            for arm in one.get("arms", []) if one["cell"] == cell else []:
                found.setdefault(arm["policy"], arm["carried"])
    return found


class Cell:
    """Its tenants, with objectives and shares as numbers, and a repository with an instance of each."""

    def __init__(self, arguments, name: str, folder: pathlib.Path):
        workload, factor = name.split(":")
        self.name, self.folder = name, folder
        self.device = json.loads(arguments.profiles.read_text())["devices"][arguments.name]
        path = with_objectives(arguments.workloads / f"{workload}.json", self.device, folder, float(factor))
        self.workload = path
        self.tenants = json.loads(path.read_text())["tenants"]
        self.names = tenant_names(self.tenants)
        self.models = [tenant["model"] for tenant in self.tenants]
        total = sum(tenant["share"] for tenant in self.tenants)
        self.parts = [tenant["share"] / total for tenant in self.tenants]
        self.repository = folder / "models"
        sockets.tenants_repository(arguments.models, self.tenants, self.repository)

    def alone(self, place: int) -> pathlib.Path:
        """The workload of one tenant."""
        tenant = {**self.tenants[place], "name": self.names[place]}
        path = self.folder / f"tenant_{place}.json"
        path.write_text(json.dumps({"name": self.name, "source": "bench/cells_mps.py", "tenants": [tenant]}))
        return path

    def percentages(self, arm: str) -> list:
        """Of the processors, that each process gets; None: all of them."""
        if arm == "mps-need":
            need = [part * latency(self.device, model, 8) for part, model in zip(self.parts, self.models)]
            return [max(1, math.floor(100 * each / sum(need))) for each in need]
        if arm.startswith("mps-percent"):
            each = arm.partition(":")[2]
            return [int(each) if each else max(1, 100 // len(self.tenants))] * len(self.tenants)
        return [None] * len(self.tenants)


class Together:
    """The processes of an arm, all ready; with a daemon of their own where the arm has one."""

    def __init__(self, arguments, cell: Cell, arm: str):
        self.arguments, self.cell = arguments, cell
        self.processes, self.daemon = [], None
        folder = pathlib.Path(tempfile.mkdtemp(prefix="mps-", dir=cell.folder))
        begin = time.monotonic()
        # A socket's path must be short, so the daemon's folder is not one of the cell's.
        self.own = pathlib.Path(tempfile.mkdtemp(prefix="tessera-mps-"))
        try:
            env = {"CUDA_MPS_PIPE_DIRECTORY": str(folder)}  # nobody answers there, whatever this environment says
            if arm != "plain":
                self.daemon = mps_daemon.Daemon(self.own)
                env = {**self.daemon.env, "CUDA_DEVICE_MAX_CONNECTIONS": str(arguments.connections)}
            for place, percent in enumerate(cell.percentages(arm)):
                more = {} if percent is None else {"CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": str(percent)}
                self.processes.append(trials.Process(arguments.tessera, self.words(place), {**env, **more}))
            for process in self.processes:
                process.wait_until_ready()
        except (trials.Failed, mps_daemon.Failed) as error:
            said = self.daemon.words() if self.daemon else ""
            self.end()
            raise trials.Failed(f"{arm}: {error}{said}") from error
        self.loaded_in_s = round(time.monotonic() - begin, 1)

    def words(self, place: int) -> list:
        arguments = self.arguments
        words = ["--workload", self.cell.alone(place), "--own-models", "--model-repository", self.cell.repository, "--device", arguments.device,
                 "--cache-dir", arguments.cache, "--policy", "temporal", "--warm-seconds", arguments.warm_seconds]
        # Threads that hand requests over and watch for them: where all processes together would have more of them than
        # there are cores, fewer each. On a host these are the cores that they compute on, all of them.
        cores, many = sorted(os.sched_getaffinity(0)), len(self.cell.tenants)
        if arguments.device != "host":
            each = 6 if 3 * many <= len(cores) else max(2, len(cores) // many)
            words += ["--host-cores", ",".join(map(str, cores[:each]))]
        if arguments.completion:
            words += ["--completion", arguments.completion]
        return words

    def run(self, rate: float, seconds: float, seed: int, policy: str) -> list:
        """What each process says of a run at that total rate."""
        for place, (process, part) in enumerate(zip(self.processes, self.cell.parts)):
            process.ask(f"{rate * part:.9g} {seconds:.6g} {seed * SPREAD + place} {policy}")
        return [process.answer(seconds + self.arguments.warm_seconds + 40) for process in self.processes]

    def end(self) -> None:
        for process in self.processes:
            process.end()
        if self.daemon:
            self.daemon.end()
        shutil.rmtree(self.own, ignore_errors=True)


class Alone:
    """All tenants in one process, as the arms of bench/cells.py are."""

    def __init__(self, arguments, cell: Cell):
        self.arguments, self.cell = arguments, cell
        self.process = trials.Process(arguments.tessera, ["--workload", cell.workload, "--own-models", "--model-repository", cell.repository, "--device",
                                                          arguments.device, "--cache-dir", arguments.cache, "--warm-seconds", arguments.warm_seconds], {})
        try:
            self.process.wait_until_ready()
        except trials.Failed:
            self.end()
            raise

    def run(self, rate: float, seconds: float, seed: int, policy: str) -> list:
        self.process.ask(f"{rate:.9g} {seconds:.6g} {seed * SPREAD} {policy}")
        return [self.process.answer(seconds + self.arguments.warm_seconds + 40)]

    def end(self) -> None:
        self.process.end()


class Measuring:
    def __init__(self, arguments, cell: Cell, flops: dict):
        self.arguments, self.cell, self.flops = arguments, cell, flops
        self.seed = arguments.seed

    def probe(self, target, rate: float, policy: str, seconds=None) -> dict:
        """A step at that rate: as many runs as there are seeds."""
        runs = []
        slowest = min(self.cell.parts) * rate
        whole = seconds or max(self.arguments.step_seconds, min(1.05 * self.arguments.least_requests / slowest, self.arguments.most_seconds))
        watch = card.Watch(self.arguments.device)
        for _ in range(self.arguments.seeds):
            self.seed += 1
            runs.append(target.run(rate, whole / self.arguments.seeds, self.seed, policy))
        return {**trials.pooled(self.cell.names, self.cell.models, rate, runs, self.flops), "card": watch.end()}

    def tryout(self, target, rate: float) -> dict:
        """The worst tenant's attainment under each policy that a process may have."""
        return {policy: self.probe(target, rate, policy, self.arguments.try_seconds)["worst_attainment"] for policy in INNER}

    def search(self, arm: str, target, policy: str) -> dict:
        low, high = self.arguments.lower, self.arguments.upper
        probes, carried = [], None
        for step in range(self.arguments.steps):
            last = step == self.arguments.steps - 1 and carried is None and step > 0
            rate = low if last else math.sqrt(low * high)
            probes.append(probe := self.probe(target, rate, policy))
            say_probe(arm, probe)
            if probe["passed"]:
                low, carried = rate, probe
            else:
                high = rate
        return {"carried": carried["rate"] if carried else 0, "goodput": carried["goodput"] if carried else 0, "between": [low if carried else 0, high],
                "at_least": all(probe["passed"] for probe in probes), "valid": all(probe["invalid_because"] is None for probe in probes), "probes": probes}

    def arm(self, name: str, also=None) -> dict:
        """`also`: measured with the same processes at the end, in place under its name."""
        begin = time.monotonic()
        target = Together(self.arguments, self.cell, name)
        try:
            out = {"policy": name, "processes": len(target.processes), "percentages": self.cell.percentages(name)[0] and
                   self.cell.percentages(name), "loaded_in_s": target.loaded_in_s}
            policy = self.arguments.inner
            if policy == "auto":
                out["tried"] = self.tryout(target, math.sqrt(self.arguments.lower * self.arguments.upper))
                policy = max(INNER, key=out["tried"].get)
            out["inner"] = policy
            out.update(self.search(name, target, policy))
            if also and out["carried"]:
                out["utilisation"] = also(target, policy, out["carried"])
        finally:
            target.end()
        out["measured_in_s"] = round(time.monotonic() - begin, 1)
        return out

    def utilisation(self, carried: dict) -> dict:
        """Of mps within arm(), which is done; of one process under the others here."""
        target = Alone(self.arguments, self.cell)
        try:
            common = COMMON * min(carried.values())
            out = {}
            for policy in ("temporal", "tessera"):
                target.run(common, self.arguments.settle_seconds, self.seed, policy)  # for what a policy sets up as it goes
                out[policy] = {"common": self.probe(target, common, policy, self.arguments.step_seconds),
                               "own": self.probe(target, carried[policy], policy, self.arguments.step_seconds)}
            return out
        finally:
            target.end()


def say_probe(arm: str, probe: dict) -> None:
    low, high = probe["worst_attainment_95"]
    print(f"{arm:>16} {probe['rate']:9.1f} a second: {'passed' if probe['passed'] else 'failed'}, worst tenant "
          f"{100 * probe['worst_attainment']:.2f} % ({100 * low:.2f} to {100 * high:.2f}), late by p99 {probe['lateness']['p99_ms']:.3f} ms" +
          (f"; {probe['invalid_because']}" if probe["invalid_because"] else ""), flush=True)


def table(cell: dict) -> str:
    lines = [f"{'arm':>16} {'inner':>9} {'carries':>9} {'tessera / it':>12} {'steps':>6} {'worst late p99':>15} {'seconds':>8}"]
    ours = cell["capacities"].get("tessera")
    for arm in cell["arms"]:
        ratio = f"{ours / arm['carried']:.2f}" if ours and arm["carried"] else "-"
        late = max(probe["lateness"]["p99_ms"] for probe in arm["probes"])
        lines.append(f"{arm['policy']:>16} {arm['inner']:>9} {arm['carried']:9.1f} {ratio:>12} {len(arm['probes']):6} {late:12.3f} ms {arm['measured_in_s']:8.0f}"
                     + ("" if arm["valid"] else "  not valid") + ("  no rate failed: raise --upper" if arm["at_least"] else ""))
    for policy, rate in cell["capacities"].items():
        lines.append(f"{policy:>16} {'-':>9} {rate:9.1f} {f'{ours / rate:.2f}' if ours and rate else '-':>12}")
    if used := cell.get("utilisation"):
        lines.append(f"{'utilisation':>16} {'at':>9} {'rate':>9} {'attained':>9} {'atoms busy':>10} {'useful TFLOP/s':>14} {'kernels ran':>11} {'W':>6}")
        for policy, each in used.items():
            for where, probe in each.items():
                flops, seen = probe["useful_flops"], probe["card"]
                lines.append(f"{policy:>16} {where:>9} {probe['rate']:9.1f} {100 * probe['worst_attainment']:7.2f} % "
                             f"{probe['busy']['sum'] if probe['busy'] else float('nan'):10.3f} {flops / 1e12 if flops else float('nan'):14.3f} "
                             f"{seen.get('kernels_ran_percent', float('nan')):9.1f} % {seen.get('power_w', float('nan')):6.0f}")
    return "\n".join(lines)


def measure(arguments, name: str, folder: pathlib.Path, flops: dict) -> dict:
    cell = Cell(arguments, name, folder)
    known = {**capacities(arguments.capacities, name), **arguments.capacity}
    ours = known.get("tessera")
    if not ours and not (arguments.lower and arguments.upper):
        raise trials.Failed(f"{name}: nobody has measured what tessera carries there; give --lower and --upper, or --capacity tessera=RATE")
    bounds = argparse.Namespace(**vars(arguments))
    bounds.lower, bounds.upper = arguments.lower or 0.4 * ours, arguments.upper or 1.2 * ours
    measuring = Measuring(bounds, cell, flops)
    out = {"cell": name, "objectives_ms": {each: tenant["slo_ms"] for each, tenant in zip(cell.names, cell.tenants)}, "capacities": known, "arms": []}

    def used(target, policy, carried):
        rates = {"own": carried, "common": COMMON * min([carried] + [rate for who, rate in known.items() if who in ("temporal", "tessera")])}
        return {where: measuring.probe(target, rate, policy, arguments.step_seconds) for where, rate in rates.items()}

    for arm in arguments.arms.split(","):
        out["arms"].append(measuring.arm(arm, used if arguments.utilisation and arm in ("mps", "plain") else None))
        yield out
    shared = next((arm for arm in out["arms"] if "utilisation" in arm), None)
    if shared and {"temporal", "tessera"} <= set(known):
        of_all = {**{policy: known[policy] for policy in ("temporal", "tessera")}, shared["policy"]: shared["carried"]}
        out["utilisation"] = {shared["policy"]: shared.pop("utilisation"), **measuring.utilisation(of_all)}
        yield out


def take_capacity(text: str):
    policy, _, rate = text.partition("=")
    return policy, float(rate)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=pathlib.Path, required=True)
    parser.add_argument("--profiles", type=pathlib.Path, default=ROOT / "bench" / "profiles" / "h200.json")
    parser.add_argument("--workloads", type=pathlib.Path, default=ROOT / "bench" / "workloads")
    parser.add_argument("--name", default="h200")
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--cell", action="append")
    parser.add_argument("--arms", default="mps,mps-percent")
    parser.add_argument("--inner", default="auto", choices=["auto", *INNER])
    parser.add_argument("--lower", type=float)
    parser.add_argument("--upper", type=float)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--step-seconds", type=float, default=10)
    parser.add_argument("--most-seconds", type=float, default=12, help="of a step, however few requests the slowest tenant has")
    parser.add_argument("--try-seconds", type=float, default=3)
    parser.add_argument("--settle-seconds", type=float, default=3)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--warm-seconds", type=float, default=1)
    parser.add_argument("--least-requests", type=int, default=1000, help="of the slowest tenant in a step")
    parser.add_argument("--cache", default="")
    parser.add_argument("--connections", type=int, default=8, help="CUDA_DEVICE_MAX_CONNECTIONS of a process under MPS")
    parser.add_argument("--completion", help="how each process waits for ends, as of tessera serve; many that spin take each other's cores")
    parser.add_argument("--capacities", type=pathlib.Path, default=ROOT / "bench" / "results" / "gpu_cells_h200.json")
    parser.add_argument("--capacity", type=take_capacity, action="append", default=[])
    parser.add_argument("--utilisation", action="store_true")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--tessera", default=sockets.beside("tessera"))
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that what was started is ended
    arguments.capacity = dict(arguments.capacity)
    arguments.cell = arguments.cell or ["mix4:5", "mix8:10", "mix16:10"]
    return arguments


def main() -> int:
    arguments = parse()
    manifest = arguments.models / "flops.json"
    flops = json.loads(manifest.read_text()) if manifest.exists() else {}
    result = {"command": "bench/cells_mps.py " + " ".join(sys.argv[1:]), "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
              "device": arguments.name, "card": card.card_of(arguments.device), "cells": []}
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tessera-cells-mps-", dir=arguments.models.absolute().parent))
    status = 0
    try:
        for place, name in enumerate(arguments.cell):
            own = folder / name.replace(":", "_")
            own.mkdir()
            try:
                for found in measure(arguments, name, own, flops):
                    result["cells"][place:] = [found]
                    if arguments.json:  # after each arm, so that nothing is lost
                        arguments.json.write_text(json.dumps(result, indent=1) + "\n")
                print(f"{name}:\n{table(found)}", flush=True)
            except trials.Failed as failed:
                print(f"cells_mps: {failed}", file=sys.stderr, flush=True)
                result["cells"][place:] = [{"cell": name, "failed": str(failed), **(result["cells"][place] if place < len(result["cells"]) else {})}]
                status = 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
