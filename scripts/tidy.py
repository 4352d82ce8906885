#!/usr/bin/env python3
"""Runs clang-tidy 14 over translation units, several at once, and skips those that passed unchanged before.

usage: tidy.py --build FOLDER [--jobs N] [--quick] [--minutes M] FILE...

A unit is unchanged if clang-tidy, its configuration, the unit's compile command, itself and all headers of ours that it includes, directly
or not, are. What passed is remembered in ~/.cache/tessera-tidy ($XDG_CACHE_HOME), for all checkouts together, and forgotten
when nobody has asked for it for 30 days. --quick leaves out units that include Asio, Beast, gRPC or protobuf,
and the static analyzer, which takes half the time. --minutes: none begins later than that; what changed last comes first, and
how many were left is said.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "tessera-tidy")
KEPT_S = 30 * 24 * 3600
QUOTED = re.compile(rb'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)
HEAVY = re.compile(rb"^\s*#\s*include\s*<(boost/(asio|beast)|grpcpp|grpc)/|\.pb\.h\"", re.MULTILINE)


def own_files(path: str, seen: dict) -> None:
    """Collects the text of path and of the headers of ours that it includes."""
    if path in seen or not os.path.isfile(path):
        return
    with open(path, "rb") as file:
        seen[path] = file.read()
    for name in QUOTED.findall(seen[path]):
        header = name.decode()
        for folder in (os.path.join(ROOT, "src"), ROOT, os.path.dirname(path)):
            own_files(os.path.join(folder, header), seen)


def run(unit: str, command: str, build: str, quick: bool, version: str) -> tuple:
    texts = {}
    own_files(unit, texts)
    if quick and any(HEAVY.search(text) for text in texts.values()):
        return "heavy", ""
    tidy = ["clang-tidy-14", "-p", build, "--quiet", "--extra-arg=-Wno-unknown-warning-option"] + (["--checks=-clang-analyzer-*"] if quick else [])
    # Relative to the checkout, whose path may be written with quotes or without.
    arguments = [argument.replace(ROOT, "") for argument in shlex.split(command)]
    digest = hashlib.sha256(repr((version, tidy, arguments)).encode())
    with open(os.path.join(ROOT, ".clang-tidy"), "rb") as file:
        digest.update(file.read())
    for path in sorted(texts):
        digest.update(os.path.relpath(path, ROOT).encode() + b"\0" + texts[path])
    stamp = os.path.join(CACHE, digest.hexdigest())
    if os.path.exists(stamp):
        os.utime(stamp)
        return "unchanged", ""
    result = subprocess.run([*tidy, unit], cwd=ROOT, capture_output=True, text=True, check=False)
    if result.returncode == 0:
        with open(stamp, "w", encoding="utf-8"):
            pass
        return "clean", ""
    errors = "" if "error:" in result.stdout else result.stderr
    return "found", result.stdout + errors


def last_changed_first(units: list) -> list:
    log = subprocess.run(["git", "log", "-n", "300", "--format=", "--name-only"], cwd=ROOT, capture_output=True, text=True, check=False)
    place = {}
    for name in log.stdout.splitlines():
        place.setdefault(os.path.join(ROOT, name), len(place))
    return sorted(units, key=lambda unit: place.get(unit, len(place)))


def forget_old() -> None:
    oldest = time.time() - KEPT_S
    for entry in os.scandir(CACHE):
        if entry.stat().st_mtime < oldest:
            os.unlink(entry.path)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--minutes", type=float)
    parser.add_argument("files", nargs="+")
    arguments = parser.parse_args()

    os.makedirs(CACHE, exist_ok=True)
    forget_old()
    with open(os.path.join(ROOT, arguments.build, "compile_commands.json"), encoding="utf-8") as file:
        commands = {os.path.realpath(entry["file"]): entry["command"] for entry in json.load(file)}
    version = subprocess.run(["clang-tidy-14", "--version"], capture_output=True, text=True, check=True).stdout
    units = [os.path.realpath(os.path.join(ROOT, name)) for name in arguments.files]
    known = [unit for unit in units if unit in commands]
    counts = {"not built here": len(units) - len(known)}
    until = time.monotonic() + 60 * arguments.minutes if arguments.minutes else None

    def in_time(unit: str) -> tuple:
        if until and time.monotonic() > until:
            return "left for want of time", ""
        return run(unit, commands[unit], arguments.build, arguments.quick, version)

    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        jobs = [pool.submit(in_time, unit) for unit in (last_changed_first(known) if until else known)]
        for job in concurrent.futures.as_completed(jobs):
            verdict, output = job.result()
            counts[verdict] = counts.get(verdict, 0) + 1
            if output:
                print(output, flush=True)
    print("clang-tidy: " + ", ".join(f"{count} {what}" for what, count in counts.items() if count))
    return 1 if counts.get("found") else 0


if __name__ == "__main__":
    sys.exit(main())
