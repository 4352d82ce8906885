"""bench/faults.py, bench/evictable.py and bench/occupy.py where there is no GPU: pretended devices, and a driver of a few
lines."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from serving import BINARY, FAULTY, ROOT

sys.path.insert(0, str(ROOT / "bench"))
import asking  # noqa: E402
import evictable  # noqa: E402
import faults  # noqa: E402
import occupy  # noqa: E402

needs_faulty = pytest.mark.skipif(not FAULTY.exists(), reason="tessera_faulty is not built")

DRIVER = """
#include <stddef.h>
#include <stdint.h>
static size_t left = 5000ull << 20;
static uint64_t sizes[4096], last;
int cuInit(unsigned f) { return f; }
int cuDeviceGet(int* d, int n) { *d = n; return n != 0; }
int cuDevicePrimaryCtxRetain(void** c, int d) { *c = &left; return d; }
int cuCtxSetCurrent(void* c) { return c != &left; }
int cuMemGetInfo_v2(size_t* f, size_t* t) { *f = left; *t = 5000ull << 20; return 0; }
int cuMemAlloc_v2(uint64_t* a, size_t n) {
  if (n > left || n > (700ull << 20)) return 2;
  *a = ++last; sizes[last] = n; left -= n; return 0;
}
int cuMemFree_v2(uint64_t a) { left += sizes[a]; return sizes[a] == 0; }
"""


def bench(name, folder, *flags, **more):
    out = folder / "out.json"
    done = subprocess.run([sys.executable, ROOT / "bench" / name, "--json", out, *map(str, flags)], capture_output=True, text=True,
                          timeout=200, **more)
    return done, json.loads(out.read_text()) if out.exists() else {}


@needs_faulty
def test_the_faults_of_a_pretended_device(tmp_path):
    done, found = bench("faults.py", tmp_path, "--pretended", "--tessera", BINARY, "--faulty", FAULTY, "--askers", 2, "--logs",
                        tmp_path / "logs")
    assert done.returncode == 0, done
    assert not found["failed"] and len(found["bars"]) == len(done.stdout.splitlines()) >= 20
    trap, spin, memory = found["trap"], found["spin"], found["memory"]
    assert trap["ran"] == 6 and trap["exit_status"] == 1 and sum(trap["later_outcomes"].values()) > 10
    assert spin["stuck"] == ["one"] and spin["exit_status"] == 3 and 1.9 < spin["noticed_after_s"]
    assert spin["tenants"]["two"]["noticed"]["answered"] > 100
    assert spin["tenants"]["one"]["noticed"]["answered"] == 0
    assert "no more memory" in memory["steps"][0]["error"] and memory["again"]["answer"] == 200
    assert "no device is left" in (tmp_path / "logs/trap.log").read_text()


def judged(sent, denied=0.1, ended=6.0, status=1):
    health = asking.Health.__new__(asking.Health)
    health.denied, health.words = {"live": denied, "ready": denied}, {}
    judge = faults.Faults.__new__(faults.Faults)
    judge.bars = []
    judge.judge_trap(sent, health, 0.0, ended, status)
    return [each["what"] for each in judge.bars if not each["passed"]]


def test_a_bar_is_missed_where_a_request_is_lost():
    good = [asking.Sent(-1, -0.5, 200, ""), asking.Sent(-0.1, 0.2, 503, "lost"), asking.Sent(1, 1.1, 503, "down")]
    assert judged(good) == []
    assert [text[:13] for text in judged([*good, asking.Sent(-0.1, 20, "hangs", "")])] == ["requests that"] * 2
    assert [text[:21] for text in judged([*good, asking.Sent(2, 2.1, "broken", "")])] == ["requests that hang or", "later requests refuse"]
    assert [text[:14] for text in judged([*good, asking.Sent(2, 2.1, 200, "")])] == ["later requests"]
    assert [text[:11] for text in judged(good, status=143)] == ["exit status"]
    assert [text[:7] for text in judged(good, denied=5.5, ended=16)] == ["health:", "health:", "later r", "process"]


def test_a_silence_is_the_longest_time_between_answers():
    assert faults.Faults.silence([1.0, 1.1, 1.9], 0.9, 2.0) == pytest.approx(0.8)
    assert faults.Faults.silence([], 0.5, 2.0) == 1.5


MODEL = """tessera-fake 1
input INPUT0 INT32 [4]
output OUTPUT0 INT32 [4] copy INPUT0
latency 1 1 1ms
memory {memory}
load_time 50ms
"""


@needs_faulty
def test_models_that_leave_in_turn(tmp_path):
    for name, memory in (("a", 60), ("b", 55), ("c", 70)):
        (tmp_path / "models" / name / "1").mkdir(parents=True)
        (tmp_path / "models" / name / "1" / "model.onnx").write_text(MODEL.format(memory=memory))
        (tmp_path / "models" / name / "config.pbtxt").write_text("")
    flags = ("--models", tmp_path / "models", "--tessera", FAULTY, "--pretended", "--rounds", 2)
    done, found = bench("evictable.py", tmp_path, *flags, "--names", "a,b,c")
    assert done.returncode == 0, done
    assert len(found["requests"]) == 6 and all(each["was_away"] for each in found["requests"])
    assert all(each["times"] == 2 and 40 < each["least_ms"] <= each["median_ms"] <= each["most_ms"] for each in found["returns"].values())
    (tmp_path / "models" / "b" / "1" / "model.onnx").write_text(MODEL.format(memory=20))
    done, found = bench("evictable.py", tmp_path, *flags, "--names", "a,b")
    assert done.returncode == 1 and found["returns"]["b"] == {"times": 0}


def test_room_is_looked_for_in_which_each_leaves(monkeypatch):
    tried = []

    def all_leave(_models, _occupant, mb):
        tried.append(mb)
        return "more" if mb < 810 else "less" if mb > 860 else "yes"

    monkeypatch.setattr(evictable, "all_leave", all_leave)
    assert 810 <= evictable.look_for_room(None, None) <= 860 and tried[0] == 632 and len(tried) <= evictable.TRIES
    monkeypatch.setattr(evictable, "all_leave", lambda *_: "more")
    models = evictable.Models("", ["a", "b"])
    with pytest.raises(asking.Failed, match="each of a,b leaves: give --left-mb"):
        evictable.look_for_room(models, None)


def test_without_a_driver_nothing_is_occupied(tmp_path, monkeypatch):
    (tmp_path / "libcuda.so.1").write_text("no library")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    occupant = occupy.Occupant("0")
    try:
        with pytest.raises(occupy.Failed, match="is there a driver"):
            occupant.leave(100)
    finally:
        occupant.end()


@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler")
def test_a_card_is_occupied_but_for_what_is_to_be_left(tmp_path):
    (tmp_path / "driver.c").write_text(DRIVER)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", tmp_path / "libcuda.so.1", tmp_path / "driver.c"], check=True, timeout=60)
    done = subprocess.run([sys.executable, ROOT / "bench" / "occupy.py", "0"], input="800\n100\n3000\n", capture_output=True, text=True,
                          timeout=60, env={**os.environ, "LD_LIBRARY_PATH": str(tmp_path)})
    assert done.returncode == 0, done
    assert [int(line) >> 20 for line in done.stdout.split()] == [800, 100, 3000]
    done = subprocess.run([sys.executable, ROOT / "bench" / "occupy.py", "3"], input="800\n", capture_output=True, text=True, timeout=60,
                          env={**os.environ, "LD_LIBRARY_PATH": str(tmp_path)})
    assert done.returncode == 1 and "cuDeviceGet failed" in done.stderr
