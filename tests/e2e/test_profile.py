"""`tessera profile`: its table and files, that the simulator reads what it writes, and what it says of bad input."""

import csv
import json
import subprocess

import pytest

from serving import BINARY
from small_models import identity, put, slow_rows
from onnx import TensorProto


def profile(repository, *arguments):
    return subprocess.run([BINARY, "profile", "--model-repository", repository, "--device", "host", "--point-ms", "5",
                           *map(str, arguments)], capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    folder = tmp_path_factory.mktemp("repository")
    put(folder, "rows", slow_rows(width=512), config="""
max_batch_size: 4
parameters { key: "slo_ms" value { string_value: "2000" } }
""")
    put(folder, "small, very", identity(TensorProto.FLOAT, ["batch", 5]), config="max_batch_size: 2\n")
    return folder


@pytest.fixture(scope="module")
def measured(repository, tmp_path_factory):
    folder = tmp_path_factory.mktemp("out")
    done = profile(repository, "rows", "small, very", "--csv", folder / "p.csv", "--json", folder / "p.json", "--html",
                   folder / "p.html")
    assert done.returncode == 0 and done.stderr == "", done
    return folder, done.stdout


def test_every_batch_and_slice_size_has_a_row(measured):
    folder, table = measured
    with open(folder / "p.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    rows = [line for line in lines if line["model"] == "rows"]
    assert sorted({int(line["rows"]) for line in rows}) == [1, 2, 4]
    sizes = {int(line["processors"]) for line in rows}
    assert 1 in sizes and len(rows) == 3 * len(sizes)
    assert {line["model"] for line in lines} == {"rows", "small, very"}
    for line in rows:
        seconds, batch = float(line["median_us"]) * 1e-6, int(line["rows"])
        assert float(line["fastest_us"]) <= float(line["median_us"]) <= float(line["slowest_us"])
        assert int(line["runs"]) >= 5
        assert float(line["rows_per_second"]) == pytest.approx(batch / seconds, rel=1e-3)
        assert float(line["efficacy"]) == pytest.approx(batch / (seconds**2 * int(line["processors"])), rel=1e-3)
    best = max(rows, key=lambda line: float(line["efficacy"]))
    assert [line for line in rows if line["knee"] == "1"] == [best], "all keep an objective of two seconds"
    assert "the knee" in table and "rows, version 1, host" in table


def test_the_figures_are_one_page_that_needs_nothing(measured):
    page = (measured[0] / "p.html").read_text()
    assert page.startswith("<!doctype html>") and page.count("<svg") == 6 and page.count("<polyline") == 3 * (3 + 2)
    assert "http://" not in page and "https://" not in page and "<script" not in page
    assert "The knee" in page and "SLO 2000 ms" in page


def test_the_simulator_reads_what_was_measured(measured, tmp_path):
    folder, _ = measured
    known = json.loads((folder / "p.json").read_text())["devices"]["host"]
    assert known["source"].startswith("tessera profile ") or "profile" in known["source"]
    points = known["models"]["rows"]["points"]
    assert {point[0] for point in points} == {1, 2, 4}
    workload = tmp_path / "w.json"
    workload.write_text(json.dumps({"name": "w", "source": "a test", "tenants": [
        {"model": "rows", "rate": 5, "slo_ms": 5000, "max_batch": 4}]}))
    done = subprocess.run([BINARY, "simulate", "--workload", workload, "--profiles", folder / "p.json", "--device", "host",
                           "--seconds", "2"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout.splitlines()[1].split()[0] == "rows", done


def test_an_objective_that_no_batch_keeps_has_no_knee(repository, tmp_path):
    done = profile(repository, "rows", "--slo-ms", "0.001", "--name", "mine", "--json", tmp_path / "p.json")
    assert done.returncode == 0 and "No batch keeps the objective of 0.001 ms" in done.stdout, done
    assert "none within its objective" in json.loads((tmp_path / "p.json").read_text())["devices"]["mine"]["note"]


def test_what_is_wrong_is_said_in_one_line(repository, tmp_path):
    for arguments, text in [
        (["nobody"], "model 'nobody'"),
        (["rows", "rows"], "named twice"),
        (["rows", "--html", tmp_path / "no" / "such" / "p.html"], "--html"),
    ]:
        done = profile(repository, *arguments)
        assert done.returncode == 1 and len(done.stderr.splitlines()) == 1 and text in done.stderr, done
    assert profile(repository).returncode == 2
    assert profile(repository, "rows", "--point-ms", "0").returncode == 2
    put(tmp_path / "bad", "broken", b"no model")
    done = profile(tmp_path / "bad", "broken")
    assert done.returncode == 1 and "broken" in done.stderr, done
