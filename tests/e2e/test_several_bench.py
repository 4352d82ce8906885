"""bench/several.py where there is no GPU: pretended devices and halves of the host, and what it makes of what it sees."""

import json
import os
import subprocess
import sys

import pytest

from serving import BINARY, FAULTY, ROOT
from small_models import put, simple

sys.path.insert(0, str(ROOT / "bench"))
import several  # noqa: E402

MODEL = """tessera-fake 1
input INPUT0 INT32 [-1,4]
output OUTPUT0 INT32 [-1,4] copy INPUT0
latency 1 1 4ms
latency 8 1 8ms
"""
WIDE = 10_000  # ms: a busy machine keeps it


def bench(folder, *flags):
    out = folder / "out.json"
    done = subprocess.run([sys.executable, ROOT / "bench" / "several.py", "--tessera", BINARY, "--faulty", FAULTY, "--json", out,
                           "--least-slo-ms", str(WIDE), "--before-seconds", "1.5", "--cache", folder / "cache", *map(str, flags)],
                          capture_output=True, text=True, timeout=200)
    return done, json.loads(out.read_text()) if out.exists() else {}


@pytest.mark.skipif(not FAULTY.exists(), reason="tessera_faulty is not built")
def test_a_pretended_device_is_lost(tmp_path):
    for name in ("one", "two"):
        (tmp_path / "models" / name / "1").mkdir(parents=True)
        (tmp_path / "models" / name / "1" / "model.onnx").write_text(MODEL)
        (tmp_path / "models" / name / "config.pbtxt").write_text("max_batch_size: 8\n")
    done, found = bench(tmp_path, "--models", tmp_path / "models", "--part", "lost", "--pretended", "--devices", "fake:0,fake:1",
                        "--mix", "one,two,one", "--rate", 200, "--after-seconds", 4, "--logs", tmp_path / "logs")
    assert done.returncode == 0, done
    lost = found["lost"]
    assert lost["server_exit"] == 0 and 0 <= lost["seen_down_after_s"] < 5
    assert lost["failed_with_device"] <= lost["ran_there_at_most"]
    assert lost["no_answer"]["requests"] >= lost["failed_with_device"]
    assert lost["recovered_after_s"] is not None and min(lost["attainment"].values()) > 0.9
    assert "a device is made to fail" in (tmp_path / "logs/lost.log").read_text()
    assert done.stdout.startswith("lost      160 a second: all tenants attain 99 % again after ")


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core makes one device")
def test_a_device_is_added_and_both_carry_something(tmp_path):
    put(tmp_path / "models", "simple", simple())
    put(tmp_path / "models", "other", simple())
    workload = tmp_path / "work.json"
    workload.write_text(json.dumps({"name": "work", "source": "a test", "tenants": [
        {"model": "simple", "share": 1, "slo_ms": WIDE}, {"model": "other", "share": 1, "slo_ms": WIDE}]}))
    done, found = bench(tmp_path, "--models", tmp_path / "models", "--part", "added", "--part", "capacity", "--devices",
                        "host/0,host/1", "--mix", "simple,other,simple", "--rate", 100, "--after-seconds", 3, "--workload", workload,
                        "--seeds", 2, "--least-requests", 100, "--precision", 1, "--search-from", 20_000)
    assert done.returncode == 0, done
    part, opening = found["added"]["share"], found["added"]["opening"]
    assert part["post_took_s"] > 0 and 0 <= part["first_launch_after_s"] < 10
    assert 0.2 < part["share_afterwards"] < 0.8 and part["launches"][-1][2] > 0
    assert set(opening["tenants"]) == {"simple", "other", "simple_2"}
    assert opening["post_took_s"] <= opening["measured_s"] + 0.2
    arms = found["capacity"]["arms"]
    assert [arm["device"] for arm in arms] == ["host/0", "host/0,host/1"]
    assert all(arm["capacity"] > 0 and arm["cores"] > 0 for arm in arms)
    assert found["capacity"]["ratio"] == pytest.approx(arms[1]["capacity"] / arms[0]["capacity"] / 2)


def test_what_cannot_be_measured_says_what_to_do(tmp_path):
    put(tmp_path / "models", "simple", simple())
    flags = ("--models", tmp_path / "models", "--mix", "simple", "--rate", 10)
    done, found = bench(tmp_path, *flags, "--part", "lost", "--devices", "host/0")
    assert done.returncode == 1 and "--devices cuda:0,cuda:1" in found["failed"]["lost"]
    done, found = bench(tmp_path, *flags, "--part", "lost", "--faulty", tmp_path / "nothing")
    assert done.returncode == 1 and "scripts/build --target tessera_faulty" in found["failed"]["lost"]
    done, found = bench(tmp_path, *flags, "--part", "capacity")
    assert done.returncode == 1 and "what mix16.json asks for" in found["failed"]["capacity"]
    done, _ = bench(tmp_path, "--models", tmp_path / "models", "--mix", "nobody")
    assert done.returncode == 1 and "bench/models.py" in done.stderr and len(done.stderr.splitlines()) == 1


def result_of(*tenants, begin=1000.0):
    """Of [(offered, met, answered)] of each step."""
    lines = [{"offered": [o for o, _, _ in steps], "met": [m for _, m, _ in steps], "answered": [a for _, _, a in steps]} for steps in tenants]
    return {"timeline_step_seconds": 0.1, "timeline_began_at": begin, "seconds": 0.1 * len(tenants[0]) + 0.01,
            "tenants": [{"timeline": line} for line in lines]}


def test_recovery_is_when_all_windows_are_good_for_long_enough():
    good, bad = (100, 100, 100), (100, 90, 95)
    steps = [good] * 20 + [bad] * 3 + [good] * 40
    views = several.windows(result_of([good] * 63, steps))
    assert views[0] == (pytest.approx(1000.5), 1.0) and len(views) == 59
    assert min(worst for _, worst in views) == pytest.approx(0.94)
    assert several.recovery(views, 1002.0) == pytest.approx(0.8)  # the last window that touches them ends after 0.7 s
    again = several.windows(result_of(steps[:40] + [bad] + [good] * 40))
    assert several.recovery(again, 1002.0) == pytest.approx(2.6)  # 1.2 s were good in between, which is too short
    assert several.recovery(several.windows(result_of([good] * 20 + [bad] * 43)), 1002.0) is None
    lost = several.without_answer(result_of(steps), 1002.0, 1010.0)
    assert lost == {"requests": 15, "from_s": 0.0, "to_s": 0.3}


def test_a_share_is_of_the_launches_of_half_a_second():
    seen = [(10 + 0.05 * i, {"a": 10 * i, "b": 0 if i < 20 else 8 * (i - 20)}, []) for i in range(60)]
    took = several.time_to_share(seen, "b", 11.0, 0.5)
    assert several.share({"a": 10, "b": 30}, {"a": 10}, "b") == 1.0
    assert took is None  # 8 of 18 are less than 0.45
    seen = [(at, {"a": made["a"], "b": made["b"] * 10 // 8}, down) for at, made, down in seen]
    assert several.time_to_share(seen, "b", 11.0, 0.5) == pytest.approx(0.5, abs=0.051)
