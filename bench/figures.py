#!/usr/bin/env python3
"""Draws the figures of docs/images.

usage: figures.py [--tessera FILE] [NAME...]     NAME: goodput, slices, models_day; all where none is given

goodput     what each policy carries against temporal: simulated, and on a card where that was measured
slices      which batch runs where, under three policies, in simulated milliseconds: runs them (--tessera)
models_day  200 models that do not all fit, through a day
"""

import argparse
import csv
import json
import pathlib
import subprocess
import tempfile

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402

from objectives import with_objectives

ROOT = pathlib.Path(__file__).resolve().parent.parent
RESULTS, IMAGES = ROOT / "bench" / "results", ROOT / "docs" / "images"
COLOURS = {"tessera": "#0b6e4f", "temporal": "#555555", "streams": "#c1666b", "fixed": "#d4a017", "gslice": "#4062bb", "dstack": "#8f5db7"}
# The same picture gives the same bytes; letters stay letters.
plt.rcParams.update({"svg.hashsalt": "tessera", "svg.fonttype": "none", "font.size": 9, "axes.spines.top": False,
                     "axes.spines.right": False, "figure.facecolor": "white"})


def save(figure, name: str) -> None:
    to = IMAGES / f"{name}.svg"
    figure.savefig(to, metadata={"Date": None}, bbox_inches="tight")
    plt.close(figure)
    print(f"figures: {to.relative_to(ROOT)}")


def on_card() -> dict:
    """{(tenants, factor, policy): against temporal} of the main mix: the newest run that has the policy (they come newest first), against
    temporal in the same run, or in the newest that has it."""
    arms = [(cell["cell"], {arm["policy"]: arm["carried"] for arm in cell["arms"] if arm["carried"]})
            for run in json.loads((RESULTS / "gpu_cells_h200.json").read_text())["runs"] for cell in run.get("cells", [])
            if cell["cell"].startswith("mix")]
    ratios = {}
    for cell, carried in arms:
        base = carried.get("temporal") or next(other["temporal"] for name, other in arms if name == cell and "temporal" in other)
        tenants, factor = map(int, cell.removeprefix("mix").split(":"))
        for policy, rate in carried.items():
            if policy != "temporal":
                ratios.setdefault((tenants, factor, policy), rate / base)
    return ratios


def goodput(_) -> None:
    cells = json.loads((RESULTS / "sim_h200.json").read_text())["cells"]
    measured = on_card()
    counts = sorted({cell["tenants"] for cell in cells})
    factors = sorted({cell["slo_factor"] for cell in cells})
    figure, axes = plt.subplots(1, len(counts), figsize=(9, 3.2), sharey=True, layout="constrained")
    for axis, tenants in zip(axes, counts):
        for policy, colour in COLOURS.items():
            line = {cell["slo_factor"]: cell for cell in cells if cell["tenants"] == tenants and cell["policy"] == policy}
            ratios = [line[factor]["to_temporal"] for factor in factors]
            axis.plot(range(len(factors)), ratios, color=colour, label=policy, linewidth=2 if policy == "tessera" else 1)
            points = [(place, measured[key]) for place, factor in enumerate(factors)
                      if (key := (tenants, factor, policy)) in measured]
            axis.plot(*zip(*points) if points else ([], []), "o", color=colour, markersize=6, markeredgecolor="black")
        axis.set_title(f"{tenants} tenants")
        axis.set_xticks(range(len(factors)), [f"{factor}x" for factor in factors])
        axis.set_xlabel("objective, of the latency alone")
        axis.set_ylim(0, 2.6)
        axis.grid(axis="y", alpha=0.3)
    axes[0].set_ylabel("requests a second at 99 %,\nagainst temporal")
    axes[-1].plot([], [], "o", color="white", markeredgecolor="black", label="on a card")
    figure.legend(*axes[-1].get_legend_handles_labels(), loc="outside lower center", ncols=7, frameon=False)
    save(figure, "goodput")


def runs_of(tessera: pathlib.Path, policy: str, rate: float, folder: pathlib.Path) -> list:
    profiles = ROOT / "bench" / "profiles" / "h200.json"
    device = json.loads(profiles.read_text())["devices"]["h200"]
    workload = with_objectives(ROOT / "bench" / "workloads" / "mix4.json", device, folder, 10)
    out = folder / "runs.csv"
    subprocess.run([tessera, "simulate", "--workload", workload, "--profiles", profiles, "--device", "h200", "--policy", policy, "--rate",
                    str(rate), "--seconds", "1", "--runs", out], check=True, stdout=subprocess.DEVNULL)
    with open(out, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def slices(arguments) -> None:
    policies, begin, span = ("tessera", "fixed:share.resnet50=0.25,share.mobilenet_v2=0.25,share.resnet50_2=0.25,share.vgg19=0.25",
                             "temporal"), 1.5e9, 12e6
    colours = {"resnet50": "#4062bb", "mobilenet_v2": "#d4a017", "resnet50_2": "#7fa0e0", "vgg19": "#c1666b"}
    figure, axes = plt.subplots(len(policies), 1, figsize=(9, 6.2), sharex=True, layout="constrained")
    with tempfile.TemporaryDirectory() as folder:
        for axis, policy in zip(axes, policies):
            for run in runs_of(arguments.tessera, policy, 2600, pathlib.Path(folder)):
                at, end = float(run["begin_ns"]), float(run["end_ns"])
                if end < begin or at > begin + span:
                    continue
                atom, atoms = int(run["first_atom"]), int(run["atoms"])
                axis.broken_barh([((at - begin) / 1e6, (end - at) / 1e6)], (atom, atoms), facecolor=colours[run["tenant"]], edgecolor="white",
                                 linewidth=0.8)
                if end - at > span / 40:
                    axis.text(((at + end) / 2 - begin) / 1e6, atom + atoms / 2, run["rows"], ha="center", va="center", color="white",
                              fontsize=7, clip_on=True)
            axis.set(xlim=(0, span / 1e6), ylim=(0, 16), yticks=(0, 4, 8, 12, 16))
            axis.set_ylabel("atoms")
            axis.set_title(policy.split(":")[0], loc="left")
    axes[-1].set_xlabel("milliseconds")
    handles = [plt.Rectangle((0, 0), 1, 1, color=colour) for colour in colours.values()]
    figure.legend(handles, colours, loc="outside lower center", ncols=4, frameon=False)
    save(figure, "slices")


def models_day(_) -> None:
    found = json.loads((RESULTS / "sim_models_day_h200.json").read_text())
    placement = found["placement"]
    steps, width = placement["steps"], placement["step_seconds"]
    at = [width * (place + 0.5) for place in range(len(steps))]
    figure, (there, came, served) = plt.subplots(3, 1, figsize=(9, 6), sharex=True, layout="constrained")
    there.plot(at, [step["replicas"] for step in steps], color=COLOURS["tessera"])
    there.set_ylabel(f"replicas\non {found['devices']} devices")
    there.set_ylim(0, 200)
    floor = [0] * len(steps)
    for what, name, colour in (("back", "came back where they were", "#7fa0e0"), ("migrations", "came to another device", "#4062bb"),
                               ("further", "further replicas", "#d4a017")):
        values = [step[what] for step in steps]
        came.bar(at, values, width, bottom=floor, color=colour, label=name)
        floor = [below + value for below, value in zip(floor, values)]
    came.plot(at, [step["unloads"] for step in steps], color="#c1666b", linewidth=1, label="left")
    came.set_ylabel(f"in {width:g} s")
    came.legend(frameon=False, ncols=4, loc="upper left", fontsize=8)
    came.set_ylim(0, 1.4 * max(floor))
    share = [100 * step["met"] / max(step["requests"], 1) for step in steps]
    waited = [100 * step["waited"] / max(step["requests"], 1) for step in steps]
    served.plot(at, share, color=COLOURS["tessera"], label="in time")
    served.plot(at, [100 - value for value in waited], color="#c1666b", linewidth=1, linestyle=":", label="did not wait for their model")
    served.set(xlabel="seconds of a day compressed to ten minutes", ylim=(99.8, 100.02))
    served.set_ylabel("% of the requests")
    served.legend(frameon=False, ncols=2, loc="lower left", fontsize=8)
    for axis in (there, came, served):
        axis.grid(axis="y", alpha=0.3)
    save(figure, "models_day")


FIGURES = {"goodput": goodput, "slices": slices, "models_day": models_day}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tessera", type=pathlib.Path, default=ROOT / "build" / "bin" / "tessera")
    parser.add_argument("name", nargs="*", help=", ".join(FIGURES))
    arguments = parser.parse_args()
    if unknown := set(arguments.name) - set(FIGURES):
        parser.error(f"there is no figure {', '.join(sorted(unknown))}")
    for name in arguments.name or FIGURES:
        FIGURES[name](arguments)


if __name__ == "__main__":
    main()
