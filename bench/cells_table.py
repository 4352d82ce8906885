#!/usr/bin/env python3
"""One table of all cells: what each policy carries, on the card where that was measured, else in the simulator; and `tessera` against each.

usage: cells_table.py [--sim FILE] [--card FILE] [--mps FILE] [--write docs/performance.md]

The newest run on the card that has a cell and a policy counts; runs come newest first. A ratio's lower bound: of simulated capacities
from their 95 % intervals, taken as independent; where one was measured, its interval reaches from the highest rate that passed to the
lowest above that which failed. --write puts the table between the two lines of the file that name this program.
"""

import argparse
import json
import math
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "results"
POLICIES = ["temporal", "streams", "fixed", "gslice", "dstack", "tessera"]
RIVALS = POLICIES[:-1]
BEGIN, END = "<!-- bench/cells_table.py: begin -->", "<!-- bench/cells_table.py: end -->"


class Figure:
    """What a policy carries in a cell: a rate and what lies within its interval."""

    def __init__(self, rate, low, high, stay=None):
        self.rate, self.low, self.high, self.stay = rate, low, high, stay  # stay: None is simulated

    def text(self, beside=None) -> str:
        number = f"{self.rate:,.0f}"
        if self.stay is None:
            return number
        return f"**{number}**" + ("" if beside is None or beside.stay == self.stay else "\\*")


def simulated(file: pathlib.Path) -> dict:
    """{(cell, policy): Figure}"""
    return {(f"mix{one['tenants']}:{one['slo_factor']:g}", one["policy"]): Figure(one["capacity"], *one["capacity_95"])
            for one in json.loads(file.read_text())["cells"]}


def measured(file: pathlib.Path) -> dict:
    """Likewise."""
    found = {}
    text = json.loads(file.read_text())
    for stay, run in enumerate(text.get("runs", [text])):
        for cell in run.get("cells", []):
            for arm in cell["arms"]:
                above = [probe["rate"] for probe in arm["probes"] if not probe["passed"] and probe["rate"] > arm["carried"]]
                found.setdefault((cell["cell"], arm["policy"]), Figure(arm["carried"], arm["carried"], min(above, default=arm["carried"]), stay))
    return found


def ratio(ours: Figure, theirs: Figure):
    """The ratio and its lower bound; None where the rival carries nothing."""
    if theirs.rate <= 0:
        return None, None
    value = ours.rate / theirs.rate
    if ours.stay is None and theirs.stay is None:
        wide = math.hypot((ours.high - ours.low) / 2 / ours.rate, (theirs.high - theirs.low) / 2 / theirs.rate)
        return value, value * (1 - wide)
    return value, ours.low / theirs.high


def order(cell: str):
    name, factor = cell.split(":")
    count = re.search(r"\d+$", name)
    return (not name.startswith("mix"), int(count[0]) if count else 0, float(factor))


def cells_of(simulated_figures: dict, card_figures: dict) -> dict:
    """{cell: {policy: Figure}}, measured before simulated."""
    cells = {}
    for figures in (simulated_figures, card_figures):
        for (cell, policy), figure in figures.items():
            cells.setdefault(cell, {})[policy] = figure
    return {cell: cells[cell] for cell in sorted(cells, key=order) if "tessera" in cells[cell]}


def geometric(values: list) -> float:
    return math.exp(sum(map(math.log, values)) / len(values)) if values else float("nan")


def markdown(cells: dict, mps: dict) -> str:
    lines = ["| cell | " + " | ".join(f"`{policy}`" for policy in POLICIES) + " | against `temporal` | the best rival | worst lower bound |",
             "|---" * (len(POLICIES) + 4) + "|"]
    best, to_gslice, below = [], [], []
    for cell, figures in cells.items():
        ours = figures["tessera"]
        against = {policy: ratio(ours, figures[policy]) for policy in RIVALS if policy in figures and figures[policy].rate > 0}
        strongest = min(against, key=lambda policy: against[policy][0])
        weakest = min(against, key=lambda policy: against[policy][1])
        best.append((cell, against[strongest][0]))
        if "gslice" in against:
            to_gslice.append(against["gslice"][0])
        below += [(cell, policy) for policy, (_, low) in against.items() if low < 0.97]
        row = [figures[policy].text(ours) if policy in figures else "" for policy in POLICIES]
        name, factor = cell.split(":")
        temporal = f"{against['temporal'][0]:.2f}" if "temporal" in against else ""
        lines.append(f"| {name}, {factor}x | " + " | ".join(row) + f" | {temporal} | {against[strongest][0]:.2f} (`{strongest}`) | "
                     f"{against[weakest][1]:.2f} (`{weakest}`) |")
    mixes = [value for cell, value in best if cell.startswith("mix")]
    taken = sum(figure.stay is not None for figures in cells.values() for figure in figures.values())
    compared = sum(len(rivals_of(figures)) for figures in cells.values())
    left = ": " + ", ".join(f"{cell.replace(':', ' at ')}x `{policy}`" for cell, policy in below) if below else ""
    lines += ["", "Requests a second at 99 % attainment of every tenant. **Bold**: measured on the card "
              f"({taken} figures), with a star in another stay than the cell's `tessera`; the others are simulated.",
              f"`tessera` against the best rival of each cell {geometric(mixes):.2f} in the geometric mean of the {len(mixes)} cells of the mix, "
              f"{geometric([value for _, value in best]):.2f} with the others, against `gslice` {geometric(to_gslice):.1f} "
              f"(in the {len(to_gslice)} cells where that carries anything). A lower bound below 0.97 is left in {len(below)} of {compared} comparisons{left}."]
    return "\n".join(lines + mps_lines(cells, mps))


def rivals_of(figures: dict) -> list:
    return [policy for policy in RIVALS if policy in figures and figures[policy].rate > 0]


def mps_lines(cells: dict, mps: dict) -> list:
    rows = []
    for cell in mps.get("cells", []):
        for arm in cell.get("arms", []):
            ours = cells.get(cell["cell"], {}).get("tessera")
            against = f"{ours.rate / arm['carried']:.2f}" if ours and arm["carried"] else ""
            name, factor = cell["cell"].split(":")
            least = "at least " if arm["at_least"] else ""
            rows.append(f"| {name}, {factor}x | {arm['policy']} | `{arm['inner']}` | {least}{arm['carried']:,.0f} | {against} |")
    return ["", "| cell | processes under MPS | each with | carry | `tessera` against them |", "|---|---|---|---|---|", *rows] if rows else []


def put(file: pathlib.Path, table: str) -> None:
    text = file.read_text()
    begin, end = text.find(BEGIN), text.find(END)
    if begin < 0 or end < begin:
        sys.exit(f"cells_table: {file} lacks the lines {BEGIN} and {END}")
    file.write_text(text[:begin + len(BEGIN)] + "\n" + table + "\n" + text[end:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sim", type=pathlib.Path, default=RESULTS / "sim_h200.json")
    parser.add_argument("--card", type=pathlib.Path, default=RESULTS / "gpu_cells_h200.json")
    parser.add_argument("--mps", type=pathlib.Path, default=RESULTS / "gpu_cells_mps_h200.json")
    parser.add_argument("--write", type=pathlib.Path)
    arguments = parser.parse_args()
    mps = json.loads(arguments.mps.read_text()) if arguments.mps.exists() else {}
    table = markdown(cells_of(simulated(arguments.sim), measured(arguments.card)), mps)
    if arguments.write:
        put(arguments.write, table)
    else:
        print(table)


if __name__ == "__main__":
    main()
