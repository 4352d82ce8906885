#!/usr/bin/env python3
"""Makes a file of profiles of a card, as `tessera simulate` reads it: latencies of each model alone by `tessera profile`, and by which
part runs take longer beside busy neighbours, as a server's scheduler learns it while several models are served.

usage: card_profile.py --models FOLDER [--device cuda:0] [--name h200] [--point-ms 40] [--load WORKLOAD]... [--seconds 12] --json FILE

What is not measured is taken over from --from (bench/profiles/h100.json): what a host adds to a run, and what launches cost each other
that nobody keeps apart. --points takes the latencies from an earlier result.
"""

import argparse
import json
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

from cells import own_instances
from objectives import latency, tenant_names, with_objectives

ROOT = pathlib.Path(__file__).resolve().parent.parent
TAKEN_OVER = ("host_overhead_us", "contention", "memory_mb")


def run(words):
    done = subprocess.run([str(word) for word in words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode not in (0, 3):
        sys.exit(f"card_profile: {' '.join(map(str, words))}:\n{done.stderr[-2000:]}")


def sequential_rate(workload, device):
    """Of the workload's mix in batches of eight, one after the other on the whole device."""
    tenants = json.loads(workload.read_text())["tenants"]
    shares = [tenant["share"] for tenant in tenants]
    seconds = sum(share * latency(device, tenant["model"], 8) / 8e6 for share, tenant in zip(shares, tenants))
    return sum(shares) / seconds


def learned_beside(arguments, folder, name, device):
    """By model: the part, as each of its instances has learned it."""
    workload = with_objectives(ROOT / "bench" / "workloads" / f"{name}.json", device, folder, 20)
    tenants = json.loads(workload.read_text())["tenants"]
    names = tenant_names(tenants)
    models = own_instances(arguments.models, tenants, names, folder / name)
    learned = folder / "learned.json"
    run([arguments.tessera, "load", "--workload", workload, "--own-models", "--model-repository", models, "--device", arguments.device,
         "--cache-dir", arguments.cache, "--rate", f"{0.95 * sequential_rate(workload, device):.6g}", "--seconds", arguments.seconds,
         "--warm-seconds", 1, "--learned", learned])
    found = next(iter(json.loads(learned.read_text())["devices"].values()))["models"]
    if arguments.keep:
        shutil.copy(learned, arguments.keep / f"learned_{name}.json")
    out = {}
    for tenant, instance in zip(tenants, names):
        out.setdefault(tenant["model"], []).append(found[instance].get("neighbour", 0))
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=pathlib.Path, required=True)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--name", default="h200")
    parser.add_argument("--point-ms", type=float, default=40)
    parser.add_argument("--points", type=pathlib.Path)
    parser.add_argument("--load", action="append")
    parser.add_argument("--seconds", type=float, default=12)
    parser.add_argument("--from", dest="base", type=pathlib.Path, default=ROOT / "bench" / "profiles" / "h100.json")
    parser.add_argument("--cache", default="")
    parser.add_argument("--keep", type=pathlib.Path, help="folder for what was learned")
    parser.add_argument("--json", type=pathlib.Path, required=True)
    parser.add_argument("--tessera", type=pathlib.Path, default=ROOT / "build" / "bin" / "tessera")
    arguments = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tessera-profile-", dir=arguments.models.absolute().parent))
    try:
        points = arguments.points
        if not points:
            points = folder / "points.json"
            names = [name for name in sorted(path.name for path in arguments.models.iterdir()) if name != "upload"]
            run([arguments.tessera, "profile", *names, "--model-repository", arguments.models, "--device", arguments.device, "--name",
                 arguments.name, "--point-ms", arguments.point_ms, "--json", points])
        device = json.loads(points.read_text())["devices"][arguments.name]
        base = next(iter(json.loads(arguments.base.read_text())["devices"].values()))
        device.update({key: base[key] for key in TAKEN_OVER})
        device["noise"] = max(device["noise"], base["noise"])
        beside = {}
        for name in arguments.load or ["mix8", "other4"]:
            for model, parts in learned_beside(arguments, folder, name, device).items():
                beside.setdefault(model, []).extend(parts)
        for model, parts in beside.items():
            device["models"][model]["neighbour"] = round(statistics.median(parts), 3)
            print(f"{model}: beside busy neighbours +{100 * statistics.median(parts):.0f} % ({', '.join(f'{part:.2f}' for part in parts)})")
        device["neighbour"] = round(statistics.median(model["neighbour"] for model in device["models"].values() if "neighbour" in model), 3)
        device["note"] += (f" {', '.join(TAKEN_OVER)} and the least noise are those of {arguments.base.name}. neighbour: as the scheduler "
                           "learned it in a run of its own.")
        device["source"] = "bench/card_profile.py " + " ".join(sys.argv[1:]) + "; " + device["source"]
        arguments.json.write_text(json.dumps({"devices": {arguments.name: device}}, indent=1) + "\n")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
