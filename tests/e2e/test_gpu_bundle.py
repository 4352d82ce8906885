"""What scripts/gpu-bundle puts into its archive: a provider with the code of one architecture, and a launcher that finds
the libraries of CUDA; and the benchmark in it, on the host."""

import json
import os
import pathlib
import struct
import subprocess
import sys

import pytest

from serving import BINARY
from small_models import put, simple

SCRIPTS = pathlib.Path(__file__).resolve().parents[2] / "scripts"
SHARING = BINARY.with_name("bench_gpu_sharing")
NEEDED = ("libcudnn.so.9", "libcudart.so.13", "libcublas.so.13", "libcublasLt.so.13", "libcurand.so.10",
          "libnvrtc.so.13")
PTX, CUBIN = 1, 2


def trim(*arguments):
    return subprocess.run([sys.executable, SCRIPTS / "trim_fatbin.py", *map(str, arguments)], capture_output=True,
                          text=True, timeout=30)


def image(kind, sm, code):
    header = 64
    return struct.pack("<HHIQ12xI", kind, 0x101, header, len(code), sm).ljust(header, b"h") + code


def container(*images):
    body = b"".join(images)
    return struct.pack("<IHHQ", 0xBA55ED50, 1, 16, len(body)) + body


def library(device_code, section=b".nv_fatbin"):
    """A 64-bit ELF file with one section beside the names'."""
    names = b"\0" + section + b"\0.shstrtab\0"
    code_at = 64
    names_at = code_at + len(device_code)
    table_at = (names_at + len(names) + 7) // 8 * 8
    head = b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 0, table_at, 0, 64, 0,
                                                                 0, 64, 3, 2)
    sections = [(0, 0, 0, 0, 0, 0), (1, 1, 2, 0, code_at, len(device_code)),
                (2 + len(section), 3, 0, 0, names_at, len(names))]
    table = b"".join(struct.pack("<IIQQQQIIQQ", *each, 0, 0, 8, 0) for each in sections)
    return (head + device_code + names).ljust(table_at, b"\0") + table


FIRST = container(image(CUBIN, 80, b"A" * 40), image(CUBIN, 90, b"B" * 48), image(PTX, 90, b"P" * 56))
SECOND = container(image(CUBIN, 80, b"C" * 64), image(CUBIN, 86, b"D" * 72))


def test_the_code_of_one_architecture_is_kept_and_nothing_moves(tmp_path):
    before = library(FIRST + bytes(24) + SECOND)
    (tmp_path / "in").write_bytes(before)
    done = trim(tmp_path / "in", tmp_path / "out", 90)
    assert done.returncode == 0, done
    expected = before
    for gone in (b"A" * 40, b"P" * 56, b"C" * 64, b"D" * 72):
        expected = expected.replace(gone, bytes(len(gone)))
    assert (tmp_path / "out").read_bytes() == expected
    assert (tmp_path / "in").read_bytes() == before


@pytest.mark.parametrize("sm, kept", [(86, [b"A" * 40, b"D" * 72]), (89, [b"A" * 40, b"D" * 72]),
                                      (80, [b"A" * 40, b"C" * 64])])
def test_without_code_of_its_own_a_card_runs_that_of_its_generation(tmp_path, sm, kept):
    (tmp_path / "in").write_bytes(library(FIRST + SECOND))
    assert trim(tmp_path / "in", tmp_path / "out", sm).returncode == 0
    left = (tmp_path / "out").read_bytes()
    assert [code for code in (b"A" * 40, b"B" * 48, b"P" * 56, b"C" * 64, b"D" * 72) if code in left] == kept


@pytest.mark.parametrize("content, sm, words", [
    (library(FIRST), 70, "no code for architecture 70"),
    (library(FIRST, b".other"), 90, "no device code"),
    (b"text", 90, "no 64-bit little-endian ELF file"),
    (library(FIRST[:-8]), 90, "beyond its"),
])
def test_what_cannot_be_trimmed_is_said_and_nothing_is_written(tmp_path, content, sm, words):
    (tmp_path / "in").write_bytes(content)
    done = trim(tmp_path / "in", tmp_path / "out", sm)
    assert done.returncode == 1 and words in done.stderr and len(done.stderr.splitlines()) == 1, done
    assert sorted(os.listdir(tmp_path)) == ["in"]


@pytest.fixture
def bundle(tmp_path):
    """A bundle with one program, which prints what it was given."""
    for folder in ("bin", "libexec"):
        (tmp_path / "bundle" / folder).mkdir(parents=True)
    (tmp_path / "bundle/bin/run").write_bytes((SCRIPTS / "gpu-run").read_bytes())
    (tmp_path / "bundle/libexec/show").write_text('#!/bin/sh\necho "$LD_LIBRARY_PATH"\necho "$@"\nexit 7\n')
    for program in ("bin/run", "libexec/show"):
        (tmp_path / "bundle" / program).chmod(0o755)
    (tmp_path / "bundle/bin/show").symlink_to("run")
    return tmp_path / "bundle"


def python_with(folder, libraries):
    """A Python whose package nvidia has these libraries, as {folder: names}."""
    for name, each in libraries.items():
        (folder / "site/nvidia" / name / "lib").mkdir(parents=True)
        for library in each:
            (folder / "site/nvidia" / name / "lib" / library).touch()
    script = folder / "python"
    script.write_text(f'#!/bin/sh\nPYTHONPATH="{folder}/site" exec "{sys.executable}" "$@"\n')
    script.chmod(0o755)
    return str(script)


def test_programs_find_the_libraries_of_cuda_in_a_python_installation(bundle, tmp_path):
    python = python_with(tmp_path, {"cudnn": NEEDED[:1], "cu13": NEEDED[1:], "nccl": ["libnccl.so.2"]})
    environment = {"PATH": "/usr/bin:/bin", "PYTHON": python, "LD_LIBRARY_PATH": "/before"}
    link = tmp_path / "link"
    link.symlink_to(bundle / "bin")
    for command in ([bundle / "bin/show"], [link / "show"], [bundle / "bin/run", "show"],
                    [bundle / "bin/run", bundle / "bin/show"]):
        done = subprocess.run([*command, "--flag", "a b"], env=environment, capture_output=True, text=True, timeout=30)
        assert done.returncode == 7 and done.stderr == "", done
        path, arguments = done.stdout.splitlines()
        site = tmp_path / "site/nvidia"
        assert sorted(path.split(":")[:2]) == [f"{site}/cu13/lib", f"{site}/cudnn/lib"]
        assert path.split(":")[2:] == ["/before"] and arguments == "--flag a b"


def test_programs_start_where_there_are_no_such_libraries(bundle, tmp_path):
    done = subprocess.run([bundle / "bin/show"], env={"PATH": "/usr/bin:/bin", "PYTHON": "/no/python"},
                          capture_output=True, text=True, timeout=30)
    assert done.returncode == 7 and done.stderr == "", done


@pytest.mark.skipif(not SHARING.exists(), reason="bench_gpu_sharing is not built")
def test_the_benchmark_of_sharing_runs_every_policy_and_model_named(tmp_path):
    put(tmp_path / "models", "simple", simple())
    (tmp_path / "tmp").mkdir()
    done = subprocess.run([SHARING, "--device", "host", "--models", tmp_path / "models", "--mix", "simple,simple",
                           "--batches", "1,4", "--policy", "temporal", "--policy", "fixed:share.simple=0.5/1",
                           "--seconds", "0.1", "--warm-seconds", "0.1", "--rounds", "2", "--json", tmp_path / "out"],
                          capture_output=True, text=True, timeout=120, env={**os.environ, "TMPDIR": str(tmp_path / "tmp")})
    assert done.returncode == 0, done.stderr
    cells = json.loads((tmp_path / "out").read_text())["cells"]
    assert [(cell["policy"], cell["batch"]) for cell in cells] == [
        (policy, batch) for batch in (1, 4) for policy in ("temporal", "fixed:share.simple=0.5/1")]
    for cell in cells:
        assert [tenant["name"] for tenant in cell["tenants"]] == ["simple", "simple_2"]
        for measured in [cell, *cell["tenants"]]:
            rate = measured["images_per_s"]
            assert 0 < rate["min"] <= rate["median"] <= rate["max"]
        assert cell["images_per_s"]["median"] == pytest.approx(
            sum(tenant["images_per_s"]["median"] for tenant in cell["tenants"]), rel=0.01)
    assert not list((tmp_path / "tmp").glob("tessera-*"))


@pytest.fixture
def stay(tmp_path):
    """Runs gpu-stay beside programs that note their names; `broken` ones fail, `slow` ones sleep."""
    folder = tmp_path / "stay"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin/gpu-stay").write_bytes((SCRIPTS / "gpu-stay").read_bytes())

    def run(*flags, broken=(), slow=()):
        (folder / "ran").write_text("")
        for name in ("python", "nvidia-smi", "gpu-tests", "tessera", "bench_gpu_sharing", "bench_cuda_device",
                     "bench_input_copies", "bench_reallocation", "gpu-sanitize", "bench_cuda_engine"):
            script = folder / "bin" / name
            script.write_text(f'#!/bin/sh\necho "{name} $@" >>{folder}/ran\necho said by {name}\n' +
                              ("sleep 60\n" if name in slow else "") + f"exit {int(name in broken)}\n")
            script.chmod(0o755)
        environment = {**os.environ, "PATH": f"{folder}/bin:{os.environ['PATH']}", "PYTHON": f"{folder}/bin/python"}
        done = subprocess.run([sys.executable, folder / "bin/gpu-stay", "--results", folder / "results", *flags],
                              capture_output=True, text=True, timeout=60, env=environment, cwd=folder)
        file = folder / "results/summary.json"
        return done, json.loads(file.read_text()) if file.exists() else {}, (folder / "ran").read_text().splitlines()

    return run


def test_a_stay_runs_all_parts_in_order_and_says_how_they_went(stay):
    done, summary, ran = stay("--budget", "1700", broken=["bench_cuda_device"])
    assert done.returncode == 1 and len(ran) == len(summary) >= 12
    assert ran[0].startswith("nvidia-smi") and "models.py" in ran[1]
    assert {name for name, each in summary.items() if each["verdict"] != "passed"} == {"cuda_device"}
    assert summary["quick"]["said"] == "said by tessera"


def test_a_stay_goes_on_where_the_last_one_ended(stay):
    done, summary, ran = stay("--budget", "60")
    assert "engine" not in summary and "left for the next call" in done.stdout
    first = len(ran)
    _, summary, ran = stay("--budget", "1700")
    assert 0 < first < len(summary) == first + len(ran)
    _, _, ran = stay("--budget", "1700")
    assert ran == []
    assert len(stay("--budget", "1700", "--only", "quick")[2]) == 1
    assert len(stay("--budget", "1700", "--again")[2]) == len(summary)


def test_a_part_that_the_budget_cuts_off_comes_again(stay):
    _, summary, _ = stay("--budget", "6", "--only", "host", slow=["nvidia-smi"])
    assert summary["host"]["verdict"] == "cut off"
    assert stay("--budget", "20", "--only", "host")[1]["host"]["verdict"] == "passed"


def test_gpu_tests_keeps_what_cases_measured(tmp_path):
    program = tmp_path / "program"
    program.write_text('#!/bin/sh\ncase "$1" in\n--gtest_list_tests) printf "A.\\n  One\\n  Two\\n" ;;\n'
                       '*One) echo \'FIGURE {"name":"ratio","value":1.5}\' ;;\n*) exit 1 ;;\nesac\n')
    program.chmod(0o755)
    done = subprocess.run([SCRIPTS / "gpu-tests", "-o", tmp_path / "out", program], capture_output=True, text=True,
                          timeout=30)
    results = json.loads((tmp_path / "out/results.json").read_text())
    assert done.returncode == 1 and (results["passed"], results["failed"]) == (1, 1)
    assert [case["figures"] for case in results["cases"]] == [[{"name": "ratio", "value": 1.5}], []]
