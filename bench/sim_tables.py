#!/usr/bin/env python3
"""The tables of docs/simulation.md, as Markdown, from what bench/sim.py wrote.

usage: sim_tables.py [--results FOLDER] [FILE...]     FILE: as sim_h200.json; all that are there where none is given

A `~` marks policy `streams`, which carries less on a card than is simulated; means are given with and without it.
"""

import argparse
import json
import math
import pathlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
FILES = ["sim_h100.json", "sim_h200.json", "sim_workloads_h200.json"]
RIVALS = ["temporal", "streams", "fixed", "gslice", "dstack"]


def cells_of(result: dict) -> list:
    """[(name, objective, {policy: cell})] in the order of the file."""
    found = {}
    for cell in result["cells"]:
        name = str(cell["tenants"]) if "tenants" in cell else cell["workload"]
        slo = f"{cell['slo_factor']:g}x" if "slo_factor" in cell else "own"
        found.setdefault((name, slo), {})[cell["policy"]] = cell
    return [(name, slo, policies) for (name, slo), policies in found.items()]


def against(cell: dict, base: float) -> str:
    if "error" in cell:
        return "-"
    mark = "~" if cell["policy"] == "streams" else ""
    return f"{mark}{cell['capacity']:.0f}" + (f" ({cell['capacity'] / base:.2f})" if base and cell["policy"] != "temporal" else "")


def capacities(result: dict) -> None:
    print("| | SLO | fractional bound | clairvoyant | " + " | ".join(RIVALS) + " | tessera | tessera / temporal | tessera / clairvoyant |")
    print("|---" * (len(RIVALS) + 7) + "|")
    for name, slo, policies in cells_of(result):
        ours, base = policies["tessera"], policies["temporal"].get("capacity", 0)
        if "error" in ours:
            print(f"| {name} | {slo} | {ours['error']} |")
            continue
        low, high = ours.get("to_temporal_95", (0, 0))
        rivals = " | ".join(against(policies[rival], base) for rival in RIVALS)
        ratio = f"**{ours['to_temporal']:.2f}** ({low:.2f} to {high:.2f})" if base else "-"
        print(f"| {name} | {slo} | {ours['fractional_bound']:.0f} | {ours['clairvoyant_bound']:.0f} | {rivals} | {ours['capacity']:.0f} | {ratio} | "
              f"{ours['capacity'] / ours['clairvoyant_bound']:.2f} |")


def ratios(result: dict) -> None:
    """With the lower end of the 95 % interval; bold where that is below 0.97."""
    print("\n| | SLO | " + " | ".join(("~" if rival == "streams" else "") + rival for rival in RIVALS) + " |")
    print("|---" * (len(RIVALS) + 2) + "|")
    for name, slo, policies in cells_of(result):
        words = []
        for rival in RIVALS:
            if "tessera_over_it" not in policies[rival]:
                words.append("-")
                continue
            value, low = policies[rival]["tessera_over_it"], policies[rival]["tessera_over_it_95"][0]
            bold = "**" if low < 0.97 else ""
            words.append(f"{bold}{value:.2f} (> {low:.2f}){bold}")
        print(f"| {name} | {slo} | " + " | ".join(words) + " |")


def mean(values: list) -> str:
    return f"{math.exp(sum(map(math.log, values)) / len(values)):.2f} ({min(values):.2f} at the least, {len(values)} cells)" if values else "-"


def means(result: dict) -> None:
    best, without, gslice = [], [], []
    for _, _, policies in cells_of(result):
        rate = {policy: cell.get("capacity", 0) for policy, cell in policies.items()}
        for rivals, into in ((RIVALS, best), ([rival for rival in RIVALS if rival != "streams"], without), (["gslice"], gslice)):
            most = max(rate[rival] for rival in rivals)
            if most and rate["tessera"]:
                into.append(rate["tessera"] / most)
    print(f"\nGeometric means of tessera over the best rival {mean(best)}; over the best but streams {mean(without)}; over gslice, where that "
          f"carries anything, {mean(gslice)}.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=pathlib.Path, default=ROOT / "bench" / "results")
    parser.add_argument("file", nargs="*")
    arguments = parser.parse_args()
    for name in arguments.file or [name for name in FILES if (arguments.results / name).exists()]:
        result = json.loads((arguments.results / name).read_text())
        print(f"\n{name}: `{result['command']}`\n")
        capacities(result)
        ratios(result)
        means(result)


if __name__ == "__main__":
    main()
