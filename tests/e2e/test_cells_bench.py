"""bench/cells_mps.py with processes that share a host's cores instead of a GPU, `tessera load --trials` beneath it, and the table of all cells."""

import json
import math
import pathlib
import subprocess
import sys

import pytest

from serving import BINARY
from small_models import put, simple, slow_rows

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))
import cells_table  # noqa: E402
import trials  # noqa: E402

SLO_MS = 400  # which a busy machine keeps


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    repository = tmp_path_factory.mktemp("cells-models") / "models"
    put(repository, "simple", simple(), config="max_batch_size: 16\n")
    put(repository, "slow", slow_rows(width=512, layers=2), config="max_batch_size: 16\n")
    (repository / "flops.json").write_text(json.dumps({"simple": 32, "slow": 1_000_000}))
    return repository


@pytest.fixture
def two(models):
    made = trials.Process(BINARY, ["--model-repository", models, "--device", "host", "--cache-dir", "", "--policy", "temporal", "--model", "simple",
                                   "--model", "slow", "--slo-ms", SLO_MS, "--warm-seconds", 0.2], {})
    made.wait_until_ready()
    yield made
    made.end()


def test_trials_are_run_as_they_are_asked_for(two):
    said = []
    for words in ("100 0.5 3", "100 0.5 3 streams", "50 0.4 4"):
        two.ask(words)
        said.append(two.answer(30))
    for answer, rate, seconds in zip(said, (100, 100, 50), (0.5, 0.5, 0.4)):
        assert answer["rate"] == rate and answer["seconds"] == seconds
        assert [tenant["name"] for tenant in answer["tenants"]] == ["simple", "slow"]
        assert all(tenant["answered"] + tenant["rejected"] + tenant["failed"] == tenant["offered"] > 0 for tenant in answer["tenants"])
        assert 0 < answer["lateness"]["p50_ms"] <= answer["lateness"]["p99_ms"] and answer["lateness"]["limit_of_p99_ms"] == SLO_MS / 100
        assert answer["busy"]["atoms"] >= 1 and 0 < answer["busy"]["share"] < 1
        assert abs(answer["busy"]["seconds"] - seconds) < 0.3
    # The same seed, the same arrivals, whatever decides.
    assert [tenant["offered"] for tenant in said[0]["tenants"]] == [tenant["offered"] for tenant in said[1]["tenants"]]
    two.ask("alone 4")
    alone = two.answer(30)
    assert alone["alone_rows"] == 4 and 0 < alone["ms"]["simple"] < alone["ms"]["slow"]
    two.ask("nonsense")
    with pytest.raises(trials.Failed, match="RATE SECONDS SEED"):
        two.answer(10)


@pytest.fixture
def pair(models, tmp_path):
    """What both programs are told of a cell pair:10: objectives of 400 ms, twice the rate for simple."""
    (tmp_path / "workloads").mkdir()
    (tmp_path / "workloads" / "pair.json").write_text(json.dumps({"name": "pair", "source": "a test", "defaults": {
        "share": 1, "share_by_cost": True, "slo_factor": 10, "max_batch": 8, "lanes": 1}, "tenants": [{"model": "slow"}, {"model": "simple"}, {"model": "slow"}]}))
    points = {"slow": [[1, 2, 40000], [8, 2, 80000]], "simple": [[1, 2, 40000], [8, 2, 40000]]}
    (tmp_path / "profiles.json").write_text(json.dumps({"devices": {"here": {"hardware": "a host", "processors": [1, 1], "models": {
        name: {"points": each} for name, each in points.items()}}}}))
    return ["--models", models, "--workloads", tmp_path / "workloads", "--profiles", tmp_path / "profiles.json", "--name", "here", "--device", "host", "--cell", "pair:10",
            "--tessera", BINARY, "--json", tmp_path / "out.json"]


def test_a_cell_has_what_was_busy_and_how_sure_it_is_and_its_profile_is_measured_again(pair, tmp_path):
    (tmp_path / "said.json").write_text(json.dumps({"cells": [{"cell": "pair:10", "said": {"temporal": 400}}]}))
    done = subprocess.run([sys.executable, ROOT / "bench/cells.py", *pair, "--recheck", "--policy", "temporal", "--said", tmp_path / "said.json", "--seeds", "2",
                           "--least-requests", "100", "--warm-seconds", "0.2"], capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done
    result = json.loads((tmp_path / "out.json").read_text())
    assert result["card"] == {} and result["hardware"] == "a host"
    points = {(point["model"], point["rows"]): point for point in result["recheck"]["points"]}
    assert set(points) == {(model, rows) for model in ("slow", "simple") for rows in (1, 8, 16)}
    for (model, rows), point in points.items():
        assert point["us"] > 0 and point["profile_us"] == (80000 if model == "slow" and rows > 1 else 40000)
        assert point["deviation"] == pytest.approx(point["us"] / point["profile_us"] - 1, abs=1e-3)
    assert points["slow", 8]["us"] > points["simple", 8]["us"]
    arm, = result["cells"][0]["arms"]
    for probe in arm["probes"]:
        assert 0 < probe["busy"]["share"] < 1 and probe["lateness"]["p99_ms"] > 0
        low, high = probe["worst_attainment_95"]
        assert low <= probe["worst_attainment"] <= high
        met = {tenant["name"]: tenant["met"] for tenant in probe["tenants"]}
        assert probe["useful_flops"] == pytest.approx((32 * met["simple"] + 1e6 * (met["slow"] + met["slow_2"])) / probe["seconds"])
    assert "atoms busy" in done.stdout and "late by p99" in done.stdout


def test_processes_of_a_cell_are_measured_together(pair, tmp_path):
    done = subprocess.run([sys.executable, ROOT / "bench/cells_mps.py", *pair, "--arms", "plain", "--lower", "20", "--upper", "90",
                           "--steps", "3", "--step-seconds", "1", "--try-seconds", "0.4", "--least-requests", "10", "--warm-seconds", "0.2", "--settle-seconds", "0.2",
                           "--capacities", "", "--capacity", "tessera=80", "--capacity", "temporal=60", "--utilisation"], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done
    cell = json.loads((tmp_path / "out.json").read_text())["cells"][0]
    assert cell["cell"] == "pair:10" and cell["capacities"] == {"tessera": 80, "temporal": 60}
    assert set(cell["objectives_ms"].values()) == {SLO_MS}
    arm, = cell["arms"]
    assert arm["policy"] == "plain" and arm["processes"] == 3 and arm["inner"] in arm["tried"] and len(arm["tried"]) == 2
    rates = [probe["rate"] for probe in arm["probes"]]
    assert len(rates) == 3 and rates[0] == pytest.approx(math.sqrt(20 * 90))
    for probe in arm["probes"]:
        names = [tenant["name"] for tenant in probe["tenants"]]
        assert names == ["slow", "simple", "slow_2"] and probe["seeds"] == 2 and probe["seconds"] >= 1
        assert [tenant["rate"] / probe["rate"] for tenant in probe["tenants"]] == pytest.approx([0.25, 0.5, 0.25], rel=1e-4)
        # Arrivals of their own: three processes and two runs do not offer the same by chance.
        assert probe["tenants"][0]["offered"] + probe["tenants"][2]["offered"] > 0
        low, high = probe["worst_attainment_95"]
        assert low <= probe["worst_attainment"] <= high
        assert probe["passed"] == all(tenant["attainment"] >= 0.99 for tenant in probe["tenants"])
        assert probe["busy"]["sum"] == pytest.approx(sum(probe["busy"]["shares"])) and len(probe["busy"]["shares"]) == 3
        met = {tenant["name"]: tenant["met"] for tenant in probe["tenants"]}
        assert probe["useful_flops"] == pytest.approx((32 * met["simple"] + 1e6 * (met["slow"] + met["slow_2"])) / probe["seconds"])
    # So little passes even on a busy machine; where it does not, nothing is said to be carried.
    passed = [probe["rate"] for probe in arm["probes"] if probe["passed"]]
    assert arm["carried"] == max(passed, default=0) and arm["at_least"] == (len(passed) == 3)
    assert "tessera / it" in done.stdout
    if arm["carried"]:
        assert f"{80 / arm['carried']:.2f}" in done.stdout
        used = cell["utilisation"]
        assert set(used) == {"plain", "temporal", "tessera"}
        common = {each["common"]["rate"] for each in used.values()}
        assert len(common) == 1 and common.pop() == pytest.approx(0.95 * min(60, arm["carried"]))
        assert used["tessera"]["own"]["rate"] == 80 and used["plain"]["own"]["rate"] == arm["carried"]
        assert len(used["tessera"]["own"]["busy"]["shares"]) == 1


def results(folder):
    interval = lambda rate: {"capacity": rate, "capacity_95": [0.9 * rate, 1.1 * rate]}  # noqa: E731
    (folder / "sim.json").write_text(json.dumps({"cells": [
        {"tenants": 4, "slo_factor": 5, "policy": policy, **interval(rate)}
        for policy, rate in {"temporal": 100, "streams": 80, "gslice": 25, "fixed": 0, "tessera": 200}.items()]}))
    arm = lambda policy, rate, fails: {"policy": policy, "carried": rate, "probes": [  # noqa: E731
        {"rate": rate, "passed": True}, {"rate": fails, "passed": False}]}
    (folder / "card.json").write_text(json.dumps({"runs": [
        {"cells": [{"cell": "mix4:5", "arms": [arm("tessera", 180, 190)]}]},
        {"cells": [{"cell": "mix4:5", "arms": [arm("tessera", 1, 2), arm("streams", 120, 125)]}]}]}))
    return cells_table.cells_of(cells_table.simulated(folder / "sim.json"), cells_table.measured(folder / "card.json"))


def test_what_was_measured_takes_the_place_of_what_was_simulated(tmp_path):
    cells = results(tmp_path)
    assert {policy: figure.rate for policy, figure in cells["mix4:5"].items()} == {
        "temporal": 100, "streams": 120, "gslice": 25, "fixed": 0, "tessera": 180}
    value, low = cells_table.ratio(cells["mix4:5"]["tessera"], cells["mix4:5"]["streams"])
    assert value == 1.5 and low == 180 / 125
    assert cells_table.ratio(cells["mix4:5"]["tessera"], cells["mix4:5"]["fixed"]) == (None, None)
    text = cells_table.markdown(cells, {})
    row = next(line for line in text.splitlines() if line.startswith("| mix4"))
    assert row == "| mix4, 5x | 100 | **120**\\* | 0 | 25 |  | **180** | 1.80 | 1.50 (`streams`) | 1.44 (`streams`) |"
    mps = {"cells": [{"cell": "mix4:5", "arms": [{"policy": "mps", "inner": "streams", "carried": 120, "at_least": True}]}]}
    assert "| mix4, 5x | mps | `streams` | at least 120 | 1.50 |" in cells_table.markdown(cells, mps)
    assert "against `gslice` 7.2" in text and "0 of 3 comparisons" in text


def test_the_table_is_put_between_its_lines_and_the_documents_has_the_figures_of_the_results(tmp_path):
    file = tmp_path / "page.md"
    file.write_text(f"before\n{cells_table.BEGIN}\nold\n{cells_table.END}\nafter\n")
    cells_table.put(file, "new")
    assert file.read_text() == f"before\n{cells_table.BEGIN}\nnew\n{cells_table.END}\nafter\n"
    written = (ROOT / "docs/performance.md").read_text().split(cells_table.BEGIN)[1].split(cells_table.END)[0].strip()
    made = subprocess.run([sys.executable, ROOT / "bench/cells_table.py"], capture_output=True, text=True, timeout=30, check=True).stdout.strip()
    assert written == made, "bench/cells_table.py --write docs/performance.md"
