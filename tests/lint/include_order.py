#!/usr/bin/env python3
"""Checks which directory of src/ includes which, and that scheduling and simulation stay pure.

usage: include_order.py SOURCE_DIR
       include_order.py --self-test

base <- core <- {device, sched} <- engine <- model <- runtime <- {server, video, repro, measure} <- apps: a directory includes
itself and what stands to its left. sched and sim see no thread, lock, clock, device or engine; loadgen sees core only, and
client loadgen.
"""

import os
import re
import sys
import tempfile

LAYERS = {
    "base": set(),
    "core": {"base"},
    "device": {"base", "core"},
    "sched": {"base", "core"},
    "loadgen": {"base", "core"},
    "client": {"base", "core", "loadgen"},
    "sim": {"base", "core", "sched", "loadgen"},
}
LAYERS["engine"] = {"base", "core", "device", "sched"}
LAYERS["model"] = LAYERS["engine"] | {"engine"}
LAYERS["runtime"] = LAYERS["model"] | {"model"}
for _name in ("server", "video", "repro", "measure"):
    LAYERS[_name] = LAYERS["runtime"] | {"runtime"}
LAYERS["apps"] = set(LAYERS)

# Implementations of one interface know nothing of each other.
SEPARATE = {"device", "engine"}

PURE = {"sched", "sim"}
IMPURE_HEADERS = {
    "thread", "mutex", "shared_mutex", "condition_variable", "future", "semaphore", "latch", "barrier", "stop_token",
    "pthread.h", "time.h", "ctime", "sys/time.h",
}
IMPURE_CALL = re.compile(r"\bnow\s*\(\s*\)|\b(clock_gettime|gettimeofday|std::time|random_device)\b")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def strip_comments(line: str) -> str:
    return line.split("//", 1)[0]


def check_file(path: str, relative: str) -> list:
    found = []
    parts = relative.split("/")
    directory = parts[0]
    if directory not in LAYERS:
        return [f"src/{relative}: {directory} has no place in the order; give it one in {os.path.basename(__file__)}"]
    part = parts[1] if len(parts) > 2 else None
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            where = f"src/{relative}:{number}"
            match = INCLUDE.match(line)
            if match:
                found += check_include(where, directory, part, match.group(1), match.group(2))
            elif directory in PURE and IMPURE_CALL.search(strip_comments(line)):
                found.append(f"{where}: {directory} reads a clock or chance; time comes as an argument")
    return found


def check_include(where: str, directory: str, part: str, bracket: str, header: str) -> list:
    target, _, rest = header.partition("/")
    ours = bool(rest) and target in LAYERS
    if bracket == "<":
        if ours:
            return [f"{where}: our own {header} is included with quotes"]
        if directory in PURE and header in IMPURE_HEADERS:
            return [f"{where}: {directory} sees no thread, lock or clock, but includes <{header}>"]
        return []
    if not ours:
        if header.endswith(".pb.h"):
            return []
        return [f"{where}: {header} is not a path below src/"]
    if target != directory and target not in LAYERS[directory]:
        return [f"{where}: {directory} may not include {target}/ ({header})"]
    if target == directory and directory in SEPARATE and "/" in rest:
        other = rest.split("/")[0]
        if other != part:
            return [f"{where}: {directory}/{part or ''} may not include {directory}/{other}"]
    return []


def check_tree(source: str) -> list:
    found = []
    for folder, _, files in os.walk(source):
        for name in sorted(files):
            if name.endswith((".h", ".cc", ".cu", ".cuh")):
                path = os.path.join(folder, name)
                found += check_file(path, os.path.relpath(path, source))
    return found


SELF_TEST = [
    # (file, text, how many objections)
    ("base/a.h", '#include "core/b.h"\n', 1),
    ("core/a.h", '#include "base/b.h"\n#include <vector>\n', 0),
    ("core/b.h", "#include <base/b.h>\n", 1),
    ("core/c.h", '#include "nowhere.h"\n', 1),
    ("sched/a.cc", "#include <chrono>\nint f(int now) { return now; }\n", 0),
    ("sched/b.cc", "#include <mutex>\n", 1),
    ("sched/c.cc", "auto t = std::chrono::steady_clock::now();\n", 1),
    ("sched/d.cc", '#include "device/device.h"\n#include "engine/engine.h"\n', 2),
    ("sched/policy/e.cc", '#include "sched/view.h"\n', 0),
    ("sim/a.cc", '#include "sched/view.h"\n#include <thread>\n', 1),
    ("sim/b.cc", '#include "loadgen/arrivals.h"\n#include "sched/scheduler.h"\n', 0),
    ("loadgen/a.cc", '#include "core/shape.h"\n#include "sched/profile.h"\n', 1),
    ("client/http/a.cc", '#include "loadgen/target.h"\n#include "runtime/service.h"\n', 1),
    ("sched/f.cc", '#include "sim/loop.h"\n', 1),
    ("device/host/a.cc", '#include "device/host/b.h"\n#include "device/device.h"\n', 0),
    ("device/host/c.cc", '#include "device/fake/b.h"\n', 1),
    ("engine/a.cc", '#include "engine/fake/b.h"\n', 1),
    ("runtime/a.cc", '#include "server/b.h"\n', 1),
    ("server/http/a.cc", '#include "video/b.h"\n', 1),
    ("measure/a.cc", '#include "runtime/service.h"\n#include "apps/devices.h"\n', 1),
    ("apps/a.cc", '#include "server/http/b.h"\n#include "video/c.h"\n', 0),
    ("misplaced/a.cc", "\n", 1),
]


def self_test() -> int:
    failures = 0
    for name, text, expected in SELF_TEST:
        with tempfile.TemporaryDirectory() as root:
            path = os.path.join(root, name)
            os.makedirs(os.path.dirname(path))
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            objections = check_tree(root)
            if len(objections) != expected:
                failures += 1
                print(f"{name}: expected {expected} objections, got {objections}")
    return 1 if failures else 0


def main() -> int:
    if sys.argv[1] == "--self-test":
        return self_test()
    found = check_tree(os.path.join(sys.argv[1], "src"))
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
