#!/usr/bin/env python3
"""What neighbours notice, over HTTP, of models that are loaded, swapped and unloaded beside them through the repository's
interface: their p99 and slowest answer against those of the same round without.

usage: swaps.py --models FOLDER [--tessera FILE] [--device cuda:0] [--neighbours A,B,C] [--changed resnet50,vgg19,mobilenet_v2]
                [--outstanding 1] [--seconds 2] [--rounds 3] [--json FILE]

FOLDER: as bench/models.py makes it. Each neighbour has so many requests on their way at any time. A window lasts from just
before the change to its end; unloads, which are short, come one right after the other, of so many copies as --copies says.
A swap is a load of a model that is there. The first round's loads find a cold cache, the later ones' a warm one.
"""

import argparse
import json
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import asking
import sockets
from sockets import Failed

WARM = 0.3  # seconds
BEGINS = 0.1  # seconds that a client takes to begin; what it measures of the time before the change is less
SETTLES = 0.05  # seconds of a window after the change
LEAST = 100  # answers for a p99 to be told
BAR_P99, BAR_SLOWEST_MS = 1.05, 1.0


class Window:
    """`tessera load` on all neighbours, until it is told to end."""

    def __init__(self, arguments, server, neighbours: list, out: pathlib.Path):
        out.unlink(missing_ok=True)
        self.out = out
        command = [arguments.tessera, "load", "--url", server.urls["http"], "--outstanding", str(arguments.outstanding), "--seconds",
                   "3600", "--warm-seconds", str(WARM), "--json", str(out)]
        for name in neighbours:
            command += ["--model", name]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                        text=True)

    def __enter__(self):
        time.sleep(WARM + BEGINS)
        return self

    def __exit__(self, *_) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stderr.close()

    def end(self) -> dict:
        """Of each neighbour, and how long it was measured."""
        self.process.send_signal(signal.SIGTERM)
        _, said = self.process.communicate(timeout=30)
        if self.process.returncode not in (0, 3) or not self.out.exists():
            raise Failed(said.strip().splitlines()[-1] if said.strip() else f"a client ended with {self.process.returncode}")
        result = json.loads(self.out.read_text())
        if failed := {t["name"]: t["failures"] for t in result["tenants"] if t["failed"]}:
            raise Failed(f"requests of neighbours failed: {failed}")
        return {"seconds": result["seconds"], "neighbours": {
            t["name"]: {"answered": t["answered"], "p50_ms": t["p50_ms"], "p99_ms": t["p99_ms"],
                        "slowest_ms": max(t["timeline"]["slowest_ms"])} for t in result["tenants"]}}


class Swaps:
    def __init__(self, arguments, folder: pathlib.Path):
        self.arguments, self.folder = arguments, folder
        self.models = folder / "models"
        self.models.mkdir()
        self.neighbours = [f"neighbour_{number}" for number, _ in enumerate(arguments.neighbours.split(","))]
        sockets.repository(arguments.models, arguments.neighbours.split(","), self.models, self.neighbours)
        self.changed = arguments.changed.split(",")
        self.copies = [f"{name}_{copy}" for copy in range(arguments.copies) for name in self.changed]
        sockets.repository(arguments.models, self.changed * arguments.copies, self.models, self.copies)

    def measure(self, on_round) -> None:
        more = ["--model-control-mode", "explicit"]
        for name in self.neighbours:
            more += ["--load-model", name]
        server = sockets.Server(self.arguments.tessera, self.models, self.arguments.device, self.folder / "cache", more)
        try:
            server.wait_until_grown(len(self.neighbours))
            for number in range(self.arguments.rounds):
                print(f"round {number + 1} of {self.arguments.rounds} ...", file=sys.stderr, flush=True)
                on_round(self.one_round(server))
        finally:
            server.end()

    def window(self, server, change, names: list) -> dict:
        url, took = server.urls["http"], {}
        with Window(self.arguments, server, self.neighbours, self.folder / "window.json") as window:
            if change:
                for name in names:
                    took[name] = change(url, name)
                time.sleep(SETTLES)
            else:
                time.sleep(self.arguments.seconds)
            return {**window.end(), "took_s": took}

    def one_round(self, server) -> dict:
        found = {"alone": self.window(server, None, [])}
        for model, name in zip(self.changed, self.copies):
            found[f"load {model}"] = self.window(server, asking.load, [name])
        for name in self.copies[len(self.changed):]:
            asking.load(server.urls["http"], name)
        for model, name in zip(self.changed, self.copies):
            found[f"swap {model}"] = self.window(server, asking.load, [name])
        found["unload"] = self.window(server, asking.unload, self.copies)
        return found


def ratios(rounds: list, what: str) -> list:
    """Of each round, the worst of the neighbours': p99 against alone, and ms that the slowest answer took longer."""
    out = []
    for each in rounds:
        alone, beside = each["alone"]["neighbours"], each[what]["neighbours"]
        p99 = [beside[name]["p99_ms"] / alone[name]["p99_ms"] for name in alone if beside[name]["answered"] >= LEAST]
        slowest = max(beside[name]["slowest_ms"] - alone[name]["slowest_ms"] for name in alone)
        out.append((max(p99) if p99 else None, slowest))
    return out


def table(rounds: list) -> str:
    lines = [f"{'beside':<20} {'p99 x alone':>24} {'slowest, ms more':>26} {'took ms':>9}"]
    for what in rounds[0]:
        if what == "alone":
            continue
        found = ratios(rounds, what)
        p99, slowest = [ratio for ratio, _ in found if ratio is not None], [more for _, more in found]
        took = [sum(each[what]["took_s"].values()) * 1e3 / len(each[what]["took_s"]) for each in rounds]
        told = f"{statistics.median(p99):8.3f} ({min(p99):.3f} to {max(p99):.3f})" if p99 else "too few answers"
        lines.append(f"{what:<20} {told:>24} {statistics.median(slowest):10.2f} ({min(slowest):.2f} to {max(slowest):.2f}) "
                     f"{statistics.median(took):9.1f}")
    return "\n".join([*lines, f"bars: {BAR_P99} x, and {BAR_SLOWEST_MS} ms"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--models", type=pathlib.Path, required=True)
    parser.add_argument("--tessera", default=sockets.beside("tessera"))
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--neighbours", default="resnet50,mobilenet_v2,vgg19")
    parser.add_argument("--changed", default="resnet50,vgg19,mobilenet_v2")
    parser.add_argument("--copies", type=int, default=2, help="of each that is changed")
    parser.add_argument("--outstanding", type=int, default=1, help="of a neighbour")
    parser.add_argument("--seconds", type=float, default=2, help="measured alone")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that what was started is ended
    rounds = []

    def keep(found: dict) -> None:
        rounds.append(found)
        if arguments.json:
            arguments.json.write_text(json.dumps({
                "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "command": " ".join(sys.argv),
                "outstanding": arguments.outstanding, "rounds": rounds,
                "ratios": {what: ratios(rounds, what) for what in found if what != "alone"}}, indent=1) + "\n")

    try:
        with tempfile.TemporaryDirectory(prefix="tessera-swaps-") as temporary:
            Swaps(arguments, pathlib.Path(temporary)).measure(keep)
    except (Failed, OSError) as error:
        sys.exit(str(error))
    finally:
        if rounds:
            print(table(rounds))


if __name__ == "__main__":
    main()
