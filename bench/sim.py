#!/usr/bin/env python3
"""Everything that docs/simulation.md says, anew: each table's JSON in bench/results, on the cores that are there.

usage: sim.py [--quick] [--out FOLDER] [--jobs N] [PART...]     PART: what the first column of --list has; all where none is given

--quick plays a small part of each into FOLDER (a temporary one unless given), to see that all works.
Shows which part is done and about how long the rest takes, by what processor time each part takes.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN, RESULTS, WORKLOADS = ROOT / "build" / "bin", ROOT / "bench" / "results", ROOT / "bench" / "workloads"
H200 = ["--profiles", "bench/profiles/h200.json", "--device", "h200"]
LOADS = ["--loads", "0.9", "1.1", "1.25", "1.5", "2", "3", "--policy", "tessera", "temporal"]
NAMED = ["disb_a", "disb_b", "disb_c", "disb_d", "disb_e", "gpulets_scen1", "gpulets_scen2", "gpulets_scen3", "gpulets_scen4", "gpulets_scen5",
         "igniter_3", "azure", "hot", "edge", "other4"]
DAY = ["simulate", "--workload", "bench/workloads/cluster_day.json", *H200, "--devices", "1000", "--warm-seconds", "0"]
MODELS_DAY = ["simulate", "--workload", "bench/workloads/models_day.json", *H200, "--devices", "4", "--memory-mb", "12000", "--seconds", "600",
              "--warm-seconds", "0", "--evictable"]

# A thousand devices' state is far larger than any cache; with glibc 2.35 and later this takes a twelfth off the cluster's day.
HUGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}

# name: (program, its arguments, what --quick puts in place of them, processor seconds)
QUICK = ["--seeds", "2", "--requests", "600"]
PARTS = {
    "sim_h100": ("sim_cells", [], QUICK, 330),
    "sim_h200": ("sim_cells", H200, QUICK, 330),
    "sim_h100_even": ("sim_cells", ["--even", "--policy", "tessera"], QUICK, 60),
    "sim_h100_loads": ("sim_cells", LOADS, QUICK, 150),
    "sim_h200_loads": ("sim_cells", [*H200, *LOADS], QUICK, 150),
    "sim_workloads_h200": ("sim_cells", [*H200, "--requests", "1000", "--named", *NAMED], ["--seeds", "2", "--requests", "200"], 200),
    "sim_h100_rows": ("sim_rows", [], None, 10),
    "sim_h200_rows": ("sim_rows", H200, None, 10),
    "sim_cluster_day_h200": ("tessera", [*DAY, "--seconds", "2.6"], ["--seconds", "0.02"], 250),
    "sim_models_day_h200": ("tessera", MODELS_DAY, ["--seconds", "30"], 60),
}


class Progress:
    """What is done of all parts, in processor seconds. Any thread."""

    def __init__(self, parts, jobs):
        self.all = sum(PARTS[part][3] for part in parts)
        self.done, self.jobs, self.begun, self.lock = 0.0, jobs, time.monotonic(), threading.Lock()

    def add(self, part, seconds):
        with self.lock:
            self.done += PARTS[part][3]
            passed = time.monotonic() - self.begun
            left = passed / self.done * (self.all - self.done)
            print(f"sim: {part} took {seconds:.0f} s of a processor; {100 * self.done / self.all:.0f} % done in {passed:.0f} s, about {left:.0f} s left",
                  file=sys.stderr, flush=True)


def command(part: str, quick: bool, to: pathlib.Path) -> list:
    program, arguments, less, _ = PARTS[part]
    words = [str(BIN / (program if program == "tessera" else f"bench_{program}")), *arguments]
    if quick and less:
        # The last of an option counts for the programs that take it once.
        place = {words[i]: i for i in range(len(words))}
        for name, value in zip(less[::2], less[1::2]):
            if name in place:
                words[place[name] + 1] = value
            else:
                words += [name, value]
    if program == "sim_cells":
        words += ["--threads", "1"]
    return [*words, "--json", str(to)]


def shown(words: list) -> str:
    """As it can be repeated from the top of the repository."""
    program = pathlib.Path(words[0]).name
    name = "build/bin/tessera" if program == "tessera" else f"scripts/bench {program.removeprefix('bench_')}"
    return " ".join([name, *words[1:words.index("--json")]])


def finish(part: str, words: list, to: pathlib.Path, seconds: float, processor: float) -> None:
    """What tessera does not write by itself: the command without the place of this machine's files, and what it took."""
    result = json.loads(to.read_text())
    if PARTS[part][0] != "tessera":
        return
    result["command"] = " ".join([*(f"{name}={value}" for name, value in HUGE_PAGES.items()), shown(words)])
    result = {"command": result.pop("command"), "wall_seconds": round(seconds, 1), "processor_seconds": round(processor, 1), **result}
    if part == "sim_cluster_day_h200":  # 5,000 rows say nothing that a summary does not
        result["tenants"] = summary(result["tenants"])
        to.write_text(json.dumps(result, indent=1) + "\n")
        return
    rows = ",\n  ".join(json.dumps(tenant) for tenant in result.pop("tenants"))
    to.write_text(json.dumps(result, indent=1)[:-2] + f',\n "tenants": [\n  {rows}]}}\n')


def summary(tenants: list) -> dict:
    by_attainment = sorted(tenant["attainment"] for tenant in tenants)
    count = len(tenants)
    total = {key: sum(tenant[key] for tenant in tenants) for key in ("offered", "answered", "rejected", "met")}
    return {"count": count, **total, "attainment": round(total["met"] / total["offered"], 6), "worst": by_attainment[0],
            "attainment_of_the_hundredth_part": by_attainment[count // 100], "below_99": sum(value < 0.99 for value in by_attainment)}


def run(part: str, quick: bool, folder: pathlib.Path) -> float:
    """Processor seconds."""
    to = folder / f"{part}.json"
    words = command(part, quick, to)
    begun = time.monotonic()
    with tempfile.TemporaryFile("w+", encoding="utf-8") as out, tempfile.TemporaryFile("w+", encoding="utf-8") as said:
        process = subprocess.Popen(words, cwd=ROOT, stdout=out, stderr=said, env={**os.environ, **HUGE_PAGES})
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        said.seek(0)
        if process.returncode:
            raise RuntimeError(f"{part}: {shown(words)} ended with {process.returncode}: {said.read()[-1000:]}")
        print(f"\n== {part}: {shown(words)}\n{out.read()}", flush=True)
    processor = used.ru_utime + used.ru_stime
    finish(part, words, to, time.monotonic() - begun, processor)
    return processor


def run_all(parts: list, arguments, folder: pathlib.Path) -> int:
    progress, failed = Progress(parts, arguments.jobs), 0
    begun, took = time.monotonic(), {}
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        # The longest first, so that none is left alone at the end.
        running = {pool.submit(run, part, arguments.quick, folder): part for part in sorted(parts, key=lambda part: -PARTS[part][3])}
        for future in concurrent.futures.as_completed(running):
            part = running[future]
            try:
                took[part] = future.result()
                progress.add(part, took[part])
            except RuntimeError as error:
                print(f"sim: {error}", file=sys.stderr)
                failed += 1
    print(f"sim: {len(took)} parts in {time.monotonic() - begun:.0f} s; results in {folder}")
    return failed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("part", nargs="*")
    arguments = parser.parse_args()
    if unknown := set(arguments.part) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; --list says which there are")
    parts = arguments.part or list(PARTS)
    if arguments.list:
        for part in parts:
            print(f"{part:22s}{PARTS[part][3]:5d} s  {shown(command(part, arguments.quick, pathlib.Path('-')))}")
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.out or (pathlib.Path(temporary) if arguments.quick else RESULTS)
        folder.mkdir(parents=True, exist_ok=True)
        return 1 if run_all(parts, arguments, folder) else 0


if __name__ == "__main__":
    sys.exit(main())
