#!/usr/bin/env python3
"""The workload of bench_gpu_sharing as several processes, one tenant each, which share the GPU as the driver does it alone
(taking turns), under MPS, and under MPS with a fixed percentage of the processors each; beside them, in the same stay, one
process with all tenants under the policies temporal, streams and tessera. Prints one table: images a second of each
tenant and of all, and ratios against temporal.

usage: mps.py --models FOLDER [--program FILE] [--device cuda:0] [--mix A,B,...] [--batches 1,8] [--rounds 3]
              [--seconds 2] [--arms process,turns,mps,mps-percent] [--percentages 25,25,25,25] [--connections 8]
              [--json FILE]

Starts a daemon of MPS with folders of its own for each arm that needs one, and ends what it started, by process.
"""

import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

from mps_daemon import Daemon, Failed

ARMS = ("process", "turns", "mps", "mps-percent")
PATIENCE = 300  # seconds, for a process to be ready, or to end


class Bench:
    """One bench_gpu_sharing, which waits for us before each measurement."""

    def __init__(self, arguments, mix: list, policies: list, file: pathlib.Path, env: dict, wait: bool, more: list = ()):
        command = [arguments.program, "--models", arguments.models, "--device", arguments.device, "--mix",
                   ",".join(mix), "--batches", arguments.batches, "--rounds", str(arguments.rounds), "--seconds",
                   str(arguments.seconds), "--json", str(file), *more]
        for policy in policies:
            command += ["--policy", policy]
        self.file = file
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(command + (["--wait"] if wait else []), env={**os.environ, **env}, text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors)

    def wait_until_ready(self) -> None:
        for line in self.process.stdout:
            if line.strip() == "ready":
                return
        raise Failed(self.why())

    def begin(self) -> None:
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def result(self) -> dict:
        self.process.stdin.close()
        self.process.stdin = None
        try:
            self.process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired as error:
            raise Failed("it does not end") from error
        if self.process.returncode != 0:
            raise Failed(self.why())
        return json.loads(self.file.read_text())

    def why(self) -> str:
        self.errors.seek(0)
        lines = self.errors.read().strip().splitlines()
        return lines[-1] if lines else "it ended without a word"

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.errors.close()


def cells_of(result: dict) -> dict:
    """{policy: {batch: [images/s of each tenant, p50, p99]}}"""
    found = {}
    for cell in result["cells"]:
        found.setdefault(cell["policy"], {})[str(cell["batch"])] = [
            {key: tenant[key]["median"] for key in ("images_per_s", "p50_ms", "p99_ms")} for tenant in cell["tenants"]]
    return found


def one_process(arguments, folder: pathlib.Path) -> dict:
    bench = Bench(arguments, arguments.mix, ["temporal", "streams", "tessera"], folder / "one.json", {}, wait=False)
    try:
        return cells_of(bench.result())
    finally:
        bench.end()


def processes(arguments, folder: pathlib.Path, name: str, envs: list) -> dict:
    benches = []
    try:
        for place, (model, env) in enumerate(zip(arguments.mix, envs)):
            benches.append(Bench(arguments, [model], ["streams"], folder / f"{name}{place}.json", env, wait=True))
        for _ in range(arguments.rounds * len(arguments.batches.split(","))):
            for bench in benches:
                bench.wait_until_ready()
            for bench in benches:
                bench.begin()
        each = [cells_of(bench.result())["streams"] for bench in benches]
        return {name: {batch: [tenant[batch][0] for tenant in each] for batch in each[0]}}
    finally:
        for bench in benches:
            bench.end()


def run_arm(arguments, arm: str, folder: pathlib.Path) -> dict:
    if arm == "process":
        return one_process(arguments, folder)
    if arm == "turns":
        # Without a daemon that answers, whatever this environment says.
        return processes(arguments, folder, arm, [{"CUDA_MPS_PIPE_DIRECTORY": str(folder)}] * len(arguments.mix))
    own = folder / arm
    own.mkdir()
    daemon = Daemon(own)
    try:
        # All clients' queues are those of one server, which has not as many as each would take alone.
        envs = [{**daemon.env, "CUDA_DEVICE_MAX_CONNECTIONS": str(arguments.connections)} for _ in arguments.mix]
        if arm == "mps-percent":
            for env, percent in zip(envs, arguments.percentages):
                env["CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"] = percent
        return processes(arguments, folder, arm, envs)
    except Failed as error:
        raise Failed(str(error) + daemon.words()) from error
    finally:
        daemon.end()


def table(arms: dict, mix: list, batches: list) -> str:
    lines = [f"{'batch':>5}  {'arm':<12} {'images/s':>9} {'x temporal':>10}  " + "  ".join(f"{m:>14}" for m in mix)]
    for batch in batches:
        base = sum(t["images_per_s"] for t in arms.get("temporal", {}).get(batch, []))
        for name, cells in arms.items():
            tenants = cells.get(batch)
            if tenants:
                total = sum(t["images_per_s"] for t in tenants)
                ratio = f"{total / base:10.2f}" if base else f"{'-':>10}"
                lines.append(f"{batch:>5}  {name:<12} {total:9.0f} {ratio}  " +
                             "  ".join(f"{t['images_per_s']:14.0f}" for t in tenants))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    here = pathlib.Path(__file__).resolve().parent
    parser.add_argument("--models", required=True)
    beside = [here.parent / folder / "bench_gpu_sharing" for folder in ("bin", "build/bin")]
    parser.add_argument("--program", default=str(next((file for file in beside if file.exists()), beside[0])))
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--mix", default="resnet50,mobilenet_v2,resnet50,vgg19")
    parser.add_argument("--batches", default="1,8")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--arms", default=",".join(ARMS))
    parser.add_argument("--percentages", default="", help="one for each tenant; so by default: equal ones")
    parser.add_argument("--connections", type=int, default=8, help="CUDA_DEVICE_MAX_CONNECTIONS of a client of MPS")
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that what was started is ended
    arguments.mix = arguments.mix.split(",")
    equal = str(100 // len(arguments.mix))
    arguments.percentages = arguments.percentages.split(",") if arguments.percentages else [equal] * len(arguments.mix)
    if len(arguments.percentages) != len(arguments.mix):
        parser.error("--percentages: one for each tenant")
    wanted = arguments.arms.split(",")
    if unknown := [arm for arm in wanted if arm not in ARMS]:
        parser.error(f"no such arm: {', '.join(unknown)}; there are {', '.join(ARMS)}")
    arms, failed = {}, {}
    with tempfile.TemporaryDirectory(prefix="tessera-mps-") as folder:
        for arm in wanted:
            print(f"{arm} ...", file=sys.stderr, flush=True)
            try:
                arms.update(run_arm(arguments, arm, pathlib.Path(folder)))
            except Failed as error:
                failed[arm] = str(error)
                print(f"{arm}: {error}", file=sys.stderr, flush=True)
            if arguments.json:
                arguments.json.write_text(json.dumps({
                    "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "command": " ".join(sys.argv),
                    "mix": arguments.mix, "rounds": arguments.rounds, "percentages": arguments.percentages,
                    "connections": arguments.connections,
                    "arms": arms, "failed": failed}, indent=1) + "\n")
    print(table(arms, arguments.mix, arguments.batches.split(",")))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
