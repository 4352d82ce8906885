"""Faults of a device, seen from outside: what clients and probes are told, and how the process ends."""

import json
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from serving import FAULTY, Serve

pytestmark = pytest.mark.skipif(not FAULTY.exists(), reason="tessera_faulty is not built")

MODEL = """tessera-fake 1
input INPUT0 INT32 [4]
output OUTPUT0 INT32 [4] copy INPUT0
latency 1 1 1ms
latency 1 4 1ms
fault hang 66
fault lost 99 bus error
"""
LEAST = 2  # seconds a batch may take: sched/overdue.h
END_AFTER = 5  # seconds: kEndAfterLoss, and what the tests give as --stuck-exit-secs
STUCK = 3  # exit status


def put(folder, name, text=MODEL, config=""):
    (folder / name / "1").mkdir(parents=True)
    (folder / name / "1" / "model.onnx").write_text(text)
    (folder / name / "config.pbtxt").write_text(config)


@pytest.fixture
def start(tmp_path):
    running = []

    def run(*flags):
        running.append(Serve(tmp_path / "models", *flags, "--cache-dir", "", log=tmp_path / "server.log",
                             binary=FAULTY))
        return running[-1]

    yield run
    for server in running:
        server.process.kill()
        server.stop()


def ask(server, path, body=None, timeout=20):
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(f"http://{server.http}/{path}", data=data),
                                    timeout=timeout) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def infer(server, model, first=1):
    tensor = {"name": "INPUT0", "shape": [4], "datatype": "INT32", "data": [first, 2, 3, 4]}
    return ask(server, f"v2/models/{model}/infer", {"inputs": [tensor]})


def index(server):
    return {m["name"]: (m["state"], m.get("reason", "")) for m in json.loads(ask(server, "v2/repository/index", {})[1])}


def test_a_batch_that_does_not_end(start, tmp_path):
    put(tmp_path / "models", "stuck")
    put(tmp_path / "models", "other")
    server = start("--stuck-exit-secs", str(END_AFTER))
    assert ask(server, "v2/health/ready")[0] == 200
    time.sleep(1)  # once all slices are there, one atom is enough for each model
    begin = time.monotonic()
    status, text = infer(server, "stuck", 66)
    found = time.monotonic()
    assert status == 503 and "model 'stuck' is out of service: a batch of it on device 'fake' does not end" in text
    assert LEAST - 0.1 < found - begin < LEAST + 2
    assert ask(server, "v2/health/live")[0] == 200
    status, text = ask(server, "v2/health/ready")
    assert status == 503 and not json.loads(text)["ready"] and "model 'stuck'" in json.loads(text)["reason"]
    assert ask(server, "v2/models/stuck/ready")[0] != 200
    assert ask(server, "v2/models/other/ready")[0] == 200
    state, reason = index(server)["stuck"]
    assert state == "UNAVAILABLE" and "does not end" in reason
    assert server.metric("tessera_ready") == 0
    assert server.metric("tessera_device_stuck_launches", device="fake") == 1
    assert server.metric("tessera_device_up", device="fake") == 1
    for _ in range(5):
        assert infer(server, "other")[0] == 200
        assert infer(server, "stuck")[0] == 503
    status, text = ask(server, "v2/repository/models/stuck/load", {})
    assert status == 503 and "until the server starts anew" in text
    assert server.process.wait(END_AFTER + 10) == STUCK
    assert END_AFTER - 1 < time.monotonic() - found < END_AFTER + 8
    assert "a batch does not end: its model is out of service" in server.log()
    assert "model=stuck" in server.log() and "ending beside a batch that does not end" in server.log()


def test_what_waits_behind_it_is_answered(start, tmp_path):
    put(tmp_path / "models", "stuck")
    put(tmp_path / "models", "other")
    server = start("--policy", "temporal", "--stuck-exit-secs", "0")
    time.sleep(1)  # once all slices are there, every batch has the whole device
    with ThreadPoolExecutor(4) as pool:
        stuck = pool.submit(infer, server, "stuck", 66)
        time.sleep(0.3)
        waiting = [pool.submit(infer, server, "other") for _ in range(3)]
        assert stuck.result()[0] == 503
        for answer in waiting:
            status, text = answer.result()
            assert status == 503 and "is held up by a batch of model 'stuck' that does not end" in text
    assert server.process.wait(10) == STUCK


def test_a_batch_that_ends_after_all(start, tmp_path):
    put(tmp_path / "models", "slow", MODEL.replace("hang 66", "hang 66 4s"))
    server = start("--stuck-exit-secs", "10")
    begin = time.monotonic()
    assert infer(server, "slow", 66)[0] == 503
    assert ask(server, "v2/health/ready")[0] == 503
    while ask(server, "v2/health/ready")[0] != 200:
        assert time.monotonic() < begin + 20
        time.sleep(0.05)
    assert time.monotonic() > begin + 3.9
    assert infer(server, "slow")[0] == 200
    assert index(server)["slow"] == ("READY", "")
    time.sleep(max(0.0, begin + LEAST + 11 - time.monotonic()))  # past the moment at which it would have ended
    assert infer(server, "slow")[0] == 200
    assert server.stop() == 0
    assert "the batch has ended after all: going on" in server.log()


def test_a_stop_that_finds_a_batch_that_does_not_end(start, tmp_path):
    put(tmp_path / "models", "stuck")
    server = start()
    with ThreadPoolExecutor(1) as pool:
        stuck = pool.submit(infer, server, "stuck", 66)
        time.sleep(0.3)
        assert server.stop() == STUCK
        assert stuck.result()[0] == 503


def test_the_only_device_is_lost(start, tmp_path):
    put(tmp_path / "models", "echo")
    server = start()
    assert infer(server, "echo")[0] == 200
    status, text = infer(server, "echo", 99)
    lost = time.monotonic()
    assert status == 503 and "bus error" in text
    while ask(server, "v2/health/live")[0] == 200:  # the answer may come before the news
        assert time.monotonic() < lost + 3
        time.sleep(0.02)
    assert ask(server, "v2/health/ready")[0] != 200
    assert server.metric("tessera_device_up", device="fake") == 0
    status, text = infer(server, "echo")
    assert status == 503 and "bus error" in text
    assert server.process.wait(END_AFTER + 10) == 1
    assert END_AFTER - 1 < time.monotonic() - lost < END_AFTER + 8
    assert "no device is left" in server.log()


def test_a_lost_device_moves_its_models_on(start, tmp_path):
    put(tmp_path / "models", "here", config="instance_group [{ kind: KIND_GPU gpus: [0] }]\n")
    put(tmp_path / "models", "both")
    server = start("--pretended-devices", "2")
    assert infer(server, "here")[0] == 200
    status, text = infer(server, "here", 99)
    assert status == 503 and "bus error" in text
    limit = time.monotonic() + 20
    while infer(server, "here")[0] != 200 or ask(server, "v2/health/ready")[0] != 200:
        assert time.monotonic() < limit
        time.sleep(0.05)
    assert server.metric("tessera_device_up", device="fake:0") == 0
    assert server.metric("tessera_device_up", device="fake:1") == 1
    for _ in range(5):
        assert infer(server, "both")[0] == 200
    time.sleep(END_AFTER + 1)
    assert infer(server, "here")[0] == 200  # one device is enough to go on
    assert infer(server, "here", 99)[0] == 503
    assert server.process.wait(END_AFTER + 10) == 1
