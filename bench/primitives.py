#!/usr/bin/env python3
"""What each primitive of the data path is worth: one model over HTTP on loopback, by servers that lack one of them each
(bench_without), and by one that lacks them all: copies ahead of launches, bodies in pinned memory, ends that are seen by
looking for them, loads beside what runs. Prints one table: latency of one request at a time, images a second and the server's
CPU time for each with many, and what is left of the first while another model is loaded.

usage: primitives.py --models FOLDER [--server FILE] [--tessera FILE] [--device cuda:0] [--model resnet50]
                     [--loaded vgg19] [--outstanding 16] [--seconds 2] [--rounds 3] [--json FILE]

Each round starts one server after the other; ratios are of one round, medians over rounds.
"""

import argparse
import json
import pathlib
import statistics
import sys
import tempfile
import threading
import time
import urllib.request

import sockets

PARTS = ("nothing", "copies-ahead", "pinned-memory", "polling", "load-overlap", "everything")
FIGURES = {"alone_p50_ms": "p50 ms", "alone_p99_ms": "p99 ms", "images_per_s": "images/s", "cpu_us": "us CPU/image",
           "beside_p99_ms": "p99 ms loading", "beside_per_s": "answers/s loading"}
COPIED_AND_ASKED = ("tessera_copied_tensor_bytes_total", "nv_inference_request_success")  # of the first, those in user space


def client(arguments, server, folder, outstanding: int, seconds: float, warm: float) -> dict:
    out = folder / "client.json"
    process = sockets.load(argparse.Namespace(**{**vars(arguments), "rows": 1, "seconds": seconds}),
                           ["--url", server.urls["http"]], [arguments.model], out, warm, outstanding)
    return sockets.collect(process, out)[arguments.model]


def repository_call(server, model: str, action: str) -> float:
    """Seconds it took."""
    begin = time.monotonic()
    request = urllib.request.Request(f"{server.urls['http']}/v2/repository/models/{model}/{action}", data=b"{}")
    with urllib.request.urlopen(request, timeout=sockets.PATIENCE) as answer:
        answer.read()
    return time.monotonic() - begin


def beside_a_load(arguments, server, folder, seconds: float) -> dict:
    """One request at a time, from when the load begins; `seconds` is about what it takes."""
    took = []
    warm = 0.5
    thread = threading.Timer(warm, lambda: took.append(repository_call(server, arguments.loaded, "load")))
    thread.start()
    found = client(arguments, server, folder, 1, seconds, warm)
    thread.join()
    if not took:
        raise sockets.Failed(f"{arguments.loaded} was not loaded")
    repository_call(server, arguments.loaded, "unload")
    return {**found, "load_s": took[0]}


def measure(arguments, part: str, models, cache, folder) -> dict:
    more = ["--without", part, "--model-control-mode", "explicit", "--load-model", arguments.model]
    server = sockets.Server(arguments.server, models, arguments.device, cache, more)
    try:
        server.wait_until_grown(1)
        alone = client(arguments, server, folder, 1, arguments.seconds, 0.5)
        copied, asked = (server.total(metric) for metric in COPIED_AND_ASKED)
        before, begin = sockets.cpu_seconds(server.process.pid), time.monotonic()
        many = client(arguments, server, folder, arguments.outstanding, arguments.seconds, 0.5)
        cores = (sockets.cpu_seconds(server.process.pid) - before) / (time.monotonic() - begin)
        copied, asked = (server.total(metric) - was for metric, was in zip(COPIED_AND_ASKED, (copied, asked)))
        beside = beside_a_load(arguments, server, folder, arguments.load_seconds)
    finally:
        server.end()
    return {"alone_p50_ms": alone["p50_ms"], "alone_p99_ms": alone["p99_ms"], "images_per_s": many["per_s"],
            "cpu_us": cores / many["per_s"] * 1e6, "beside_p99_ms": beside["p99_ms"], "beside_per_s": beside["per_s"],
            "load_s": beside["load_s"], "copied_bytes_per_image": copied / max(asked, 1)}


def median_ratio(rounds: list, part: str, figure: str) -> float:
    return statistics.median(each[part][figure] / each["nothing"][figure] for each in rounds if part in each)


def table(rounds: list) -> str:
    lines = [f"{'without':<14}" + "".join(f"{name:>24}" for name in FIGURES.values())]
    for part in PARTS:
        cells = [each[part] for each in rounds if part in each]
        if cells:
            lines.append(f"{part:<14}" + "".join(
                f"{statistics.median(c[figure] for c in cells):15.3f} ({median_ratio(rounds, part, figure):5.2f})"
                for figure in FIGURES))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--models", type=pathlib.Path, required=True)
    parser.add_argument("--server", default=sockets.beside("bench_without"))
    parser.add_argument("--tessera", default=sockets.beside("tessera"))
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--model", default="resnet50")
    parser.add_argument("--loaded", default="vgg19", help="while the other one is asked")
    parser.add_argument("--load-seconds", type=float, default=1.5, help="that are measured from the load's beginning")
    parser.add_argument("--outstanding", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()
    rounds, failed = [], {}
    with tempfile.TemporaryDirectory(prefix="tessera-primitives-") as temporary:
        folder = pathlib.Path(temporary)
        (folder / "models").mkdir()
        sockets.repository(arguments.models, [arguments.model, arguments.loaded], folder / "models")
        for number in range(arguments.rounds):
            rounds.append({})
            for part in PARTS:
                print(f"round {number + 1} of {arguments.rounds}, without {part} ...", file=sys.stderr, flush=True)
                try:
                    rounds[-1][part] = measure(arguments, part, folder / "models", folder / "cache", folder)
                except sockets.Failed as error:
                    failed[f"{number + 1} {part}"] = str(error)
                    print(f"{part}: {error}", file=sys.stderr, flush=True)
                if arguments.json:
                    arguments.json.write_text(json.dumps({
                        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "command": " ".join(sys.argv),
                        "model": arguments.model, "loaded": arguments.loaded, "outstanding": arguments.outstanding,
                        "rounds": rounds, "failed": failed}, indent=1) + "\n")
    if any("nothing" in each for each in rounds):
        print(table([each for each in rounds if "nothing" in each]))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
