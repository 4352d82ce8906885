#!/usr/bin/env python3
"""Makes a file of profiles of a card, as `tessera simulate` reads it: latencies of each model alone by `tessera profile`, then as a server's
scheduler has learned them, with how much runs jitter, while several models are served.

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

import sockets
from objectives import latency, tenant_names, with_objectives

ROOT = pathlib.Path(__file__).resolve().parent.parent
TAKEN_OVER = ("host_overhead_us", "contention", "contention_noise", "memory_mb")


def run(words):
    done = subprocess.run([str(word) for word in words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode == 3:
        print(f"a run did not keep its schedule: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
    elif done.returncode != 0:
        sys.exit(f"card_profile: {' '.join(map(str, words))}:\n{done.stderr[-2000:]}")


def sequential_rate(workload, device):
    """Of the workload's mix in batches of eight, one after the other on the whole device."""
    tenants = json.loads(workload.read_text())["tenants"]
    shares = [tenant["share"] for tenant in tenants]
    seconds = sum(share * latency(device, tenant["model"], 8) / 8e6 for share, tenant in zip(shares, tenants))
    return sum(shares) / seconds


def learned(arguments, folder, name, device):
    """The device as its scheduler knows it after a run of that workload, and its models by the names of those in `device`: one for each instance."""
    workload = with_objectives(ROOT / "bench" / "workloads" / f"{name}.json", device, folder, 20)
    tenants = json.loads(workload.read_text())["tenants"]
    names = tenant_names(tenants)
    models = folder / name
    sockets.tenants_repository(arguments.models, tenants, models)
    to = folder / f"learned_{name}.json"
    run([arguments.tessera, "load", "--workload", workload, "--own-models", "--model-repository", models, "--device", arguments.device,
         "--cache-dir", arguments.cache, "--rate", f"{0.95 * sequential_rate(workload, device):.6g}", "--seconds", arguments.seconds,
         "--warm-seconds", 3, "--learned", to])
    found = next(iter(json.loads(to.read_text())["devices"].values()))
    out = {}
    for tenant, instance in zip(tenants, names):
        out.setdefault(tenant["model"], []).append(found["models"][instance])
    return found, out


def median_points(instances):
    """What most of them have learned: [rows, processors, microseconds]."""
    known = [{(point[0], point[1]): point[2] for point in each["points"]} for each in instances]
    keys = sorted({key for points in known for key in points})
    return [[*key, round(statistics.median(points[key] for points in known if key in points), 1)] for key in keys]


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
    parser.add_argument("--json", type=pathlib.Path, required=True)
    parser.add_argument("--tessera", default=sockets.beside("tessera"))
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
        jitter = []
        learned_already = {}
        for name in arguments.load or ["mix8", "other4"]:
            found, models = learned(arguments, folder, name, device)
            jitter.append(found["jitter_us"])
            for model, instances in models.items():
                alone = {(point[0], point[1]): point[2] for point in device["models"][model]["points"]}
                points = median_points(instances)
                longer = statistics.median(point[2] / alone[point[0], point[1]] for point in points if (point[0], point[1]) in alone)
                print(f"{name}, {model}: {longer:.2f} of what it takes alone, in the median of its sizes")
                if model not in learned_already:
                    learned_already[model] = points
                    device["models"][model]["neighbour"] = round(statistics.median(each.get("neighbour", 0) for each in instances), 3)
        for model, points in learned_already.items():
            device["models"][model]["points"] = points
        device["jitter_us"] = round(statistics.median(jitter), 1)
        device["note"] += f". {', '.join(TAKEN_OVER)} and the least noise are those of {arguments.base.name}. Points, neighbour and jitter_us: as a server's scheduler had learned them by the end of a run of {', '.join(arguments.load or ['mix8', 'other4'])}."
        device["source"] = "bench/card_profile.py " + " ".join(sys.argv[1:]) + "; " + device["source"]
        arguments.json.write_text(json.dumps({"devices": {arguments.name: device}}, indent=1) + "\n")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
