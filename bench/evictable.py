#!/usr/bin/env python3
"""Models marked `evictable` on a GPU that has not memory for all of them: each request goes to one that has left, and the time
to its answer is told. Another process takes most of the card's memory first, through PyTorch.

usage: evictable.py --models FOLDER [--tessera FILE] [--device cuda:0] [--names resnet50,mobilenet_v2,vgg19] [--left-mb 800]
                    [--rounds 5] [--json FILE]

--left-mb: what is left for models, beside what the server takes for itself. FOLDER: as bench/models.py makes it.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import sockets

OCCUPY = """
import sys, torch
torch.cuda.init()
device = int(sys.argv[1])
free, _ = torch.cuda.mem_get_info(device)
kept = torch.empty(max(0, free - int(sys.argv[2])), dtype=torch.uint8, device=f"cuda:{device}")
print(torch.cuda.mem_get_info(device)[0], flush=True)
sys.stdin.read()
"""
EVICTABLE = 'parameters { key: "evictable" value { string_value: "true" } }\n'
BYTES = {"FP16": 2, "FP32": 4, "UINT8": 1, "INT64": 8}


def call(url: str, data: bytes = None, headers: dict = {}) -> bytes:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=data, headers=headers), timeout=sockets.PATIENCE) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        raise sockets.Failed(f"{url}: {error.code} {error.read().decode(errors='replace')[:300]}") from error


def infer(url: str, model: str, metadata: dict) -> float:
    """Milliseconds to the answer of one row of zeros."""
    inputs, body = [], b""
    for tensor in metadata["inputs"]:
        shape = [1, *tensor["shape"][1:]]
        size = BYTES[tensor["datatype"]]
        for dim in shape:
            size *= dim
        inputs.append({"name": tensor["name"], "shape": shape, "datatype": tensor["datatype"],
                       "parameters": {"binary_data_size": size}})
        body += bytes(size)
    head = json.dumps({"inputs": inputs}).encode()
    begin = time.monotonic()
    call(f"{url}/v2/models/{model}/infer", head + body, {"Inference-Header-Content-Length": str(len(head))})
    return (time.monotonic() - begin) * 1e3


def states(url: str) -> dict:
    return {m["name"]: m.get("reason", "") for m in json.loads(call(f"{url}/v2/repository/index", b"{}"))}


def rounds_of(arguments, url: str, names: list) -> list:
    for name in names:
        call(f"{url}/v2/repository/models/{name}/load", b"{}")
    metadata = {name: json.loads(call(f"{url}/v2/models/{name}")) for name in names}
    found = []
    for _ in range(arguments.rounds):
        for name in names:
            was_away = "set aside" in states(url)[name]
            took = infer(url, name, metadata[name])
            again = statistics.median(infer(url, name, metadata[name]) for _ in range(5))
            found.append({"model": name, "was_away": was_away, "first_ms": took, "then_ms": again})
            print(f"{name}: {'away' if was_away else 'there'}, {took:.1f} ms, then {again:.2f} ms", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--models", type=pathlib.Path, required=True)
    parser.add_argument("--tessera", default=sockets.beside("tessera"))
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--names", default="resnet50,mobilenet_v2,vgg19")
    parser.add_argument("--left-mb", type=int, default=800)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()
    names = arguments.names.split(",")
    occupant = None
    try:
        with tempfile.TemporaryDirectory(prefix="tessera-evictable-") as temporary:
            folder = pathlib.Path(temporary)
            (folder / "models").mkdir()
            for name in sockets.repository(arguments.models, names, folder / "models"):
                with open(folder / "models" / name / "config.pbtxt", "a") as config:
                    config.write(EVICTABLE)
            server = sockets.Server(arguments.tessera, folder / "models", arguments.device, folder / "cache",
                                    ["--model-control-mode", "explicit"])
            try:
                number = arguments.device.partition(":")[2] or "0"
                occupant = subprocess.Popen([sys.executable, "-c", OCCUPY, number, str(arguments.left_mb << 20)],
                                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
                left = int(occupant.stdout.readline() or 0)
                if not left:
                    raise sockets.Failed("the card's memory could not be taken: is PyTorch there?")
                print(f"{left / 1e6:.0f} MB are left", flush=True)
                found = rounds_of(arguments, server.urls["http"], names)
            finally:
                server.end()
    except sockets.Failed as error:
        sys.exit(str(error))
    finally:
        if occupant:
            occupant.kill()
            occupant.wait()
    away = {name: [f["first_ms"] for f in found if f["model"] == name and f["was_away"]] for name in names}
    for name, times in away.items():
        if times:
            print(f"{name}: back with an answer after {statistics.median(times):.0f} ms ({len(times)} times)")
    if arguments.json:
        arguments.json.write_text(json.dumps({
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "command": " ".join(sys.argv), "left_bytes": left,
            "requests": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
