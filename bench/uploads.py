#!/usr/bin/env python3
"""A tenant with small inputs beside another that uploads 64 MB bodies without pause, over HTTP on loopback: the small one's
p99 from its scheduled arrivals, against alone. Prints one line for each round, and the median ratio.

usage: uploads.py --models FOLDER [--tessera FILE] [--device cuda:0] [--small mobilenet_v2] [--large upload] [--rate 300]
                  [--uploads 2] [--seconds 5] [--rounds 3] [--record FILE] [--json FILE]

FOLDER: as bench/models.py makes it, with `upload`. Images are given as bytes, 150 KB each. Both clients are processes
of their own. --record: the server's journal, which tells what stood still when a round's p99.9 is far off.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import sockets


def start(arguments, server, out: pathlib.Path, model: str, more: list, seconds: float) -> subprocess.Popen:
    command = [arguments.tessera, "load", "--url", server.urls["http"], "--model", model, "--seconds", str(seconds),
               "--warm-seconds", "0.5", "--json", str(out), *more]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def small(arguments, server, folder) -> dict:
    out = folder / "small.json"
    more = ["--rate", str(arguments.rate), "--slo-ms", "1000"]
    return sockets.collect(start(arguments, server, out, arguments.small, more, arguments.seconds), out)[arguments.small]


def one_round(arguments, server, folder) -> dict:
    alone = small(arguments, server, folder)
    out = folder / "large.json"
    uploads = start(arguments, server, out, arguments.large, ["--outstanding", str(arguments.uploads)], arguments.seconds + 2)
    time.sleep(1)
    beside = small(arguments, server, folder)
    large = sockets.collect(uploads, out)[arguments.large]
    return {"alone": alone, "beside": beside, "uploads_per_s": large["per_s"], "p99_ratio": beside["p99_ms"] / alone["p99_ms"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--models", type=pathlib.Path, required=True)
    parser.add_argument("--tessera", default=sockets.beside("tessera"))
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--small", default="mobilenet_v2")
    parser.add_argument("--large", default="upload")
    parser.add_argument("--rate", type=float, default=300)
    parser.add_argument("--uploads", type=int, default=2, help="on their way at any time")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--record", type=pathlib.Path)
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()
    rounds = []
    try:
        with tempfile.TemporaryDirectory(prefix="tessera-uploads-") as temporary:
            folder = pathlib.Path(temporary)
            (folder / "models").mkdir()
            sockets.repository(arguments.models, [arguments.small, arguments.large], folder / "models")
            config = folder / "models" / arguments.small / "config.pbtxt"
            if "input=FP32" not in config.read_text():
                raise sockets.Failed(f"{config}: images are not given as FP32: make it with bench/models.py anew")
            config.write_text(config.read_text().replace("input=FP32", "input=UINT8"))  # a byte for each value
            more = ["--record", str(arguments.record)] if arguments.record else []
            server = sockets.Server(arguments.tessera, folder / "models", arguments.device, folder / "cache", more)
            try:
                server.wait_until_grown(2)
                for _ in range(arguments.rounds):
                    rounds.append(one_round(arguments, server, folder))
                    found = rounds[-1]
                    print(f"p99 {found['alone']['p99_ms']:.3f} ms alone, {found['beside']['p99_ms']:.3f} ms "
                          f"(p99.9 {found['beside']['p999_ms']:.3f}) beside "
                          f"{found['uploads_per_s']:.1f} uploads a second: {found['p99_ratio']:.3f}", flush=True)
            finally:
                server.end()
    except sockets.Failed as error:
        sys.exit(str(error))
    ratio = statistics.median(each["p99_ratio"] for each in rounds)
    print(f"median {ratio:.3f}")
    if arguments.json:
        arguments.json.write_text(json.dumps({
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "command": " ".join(sys.argv),
            "rounds": rounds, "median_p99_ratio": ratio}, indent=1) + "\n")


if __name__ == "__main__":
    main()
