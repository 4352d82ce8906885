"""One server on two devices: halves of the host's processors."""

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from clients import PROTOCOLS, Client, InferenceServerException
from serving import BINARY, Serve, ServeFailed
from small_models import put, simple

CORES = sorted(os.sched_getaffinity(0))
DEVICES = ("host/0", "host/1")

pytestmark = pytest.mark.skipif(len(CORES) < 2, reason="one core makes one device")


@pytest.fixture(scope="module")
def halves(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    put(folder, "simple", simple())
    put(folder, "other", simple())
    with Serve(folder, "--device", ",".join(DEVICES), log=tmp_path_factory.mktemp("log") / "server.log") as running:
        yield running
        assert running.stop() == 0, running.log()


def launches(server):
    return [server.metric("tessera_device_launches_total", device=device) for device in DEVICES]


def index(server):
    request = urllib.request.Request(f"http://{server.http}/v2/repository/index", data=b"", method="POST")
    with urllib.request.urlopen(request, timeout=10) as answer:
        return {(m["name"], m["version"]): m["state"] for m in json.load(answer)}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_both_devices_answer(halves, protocol):
    before = launches(halves)
    with Client(halves, protocol) as client:
        for i in range(40):
            a = np.full((1, 16), i, np.int32)
            answer = client.simple(a, a)
            assert (answer["OUTPUT0"] == 2 * i).all() and (answer["OUTPUT1"] == 0).all()
    served = [now - then for now, then in zip(launches(halves), before)]
    assert sum(served) == 40 and min(served) >= 10, served


def test_numbers_are_those_of_all_devices(halves):
    with Client(halves, "http") as client:
        before = client.raw.get_inference_statistics("simple")["model_stats"]
        for _ in range(10):
            client.simple(np.ones((1, 16)), np.ones((1, 16)))
        after = client.raw.get_inference_statistics("simple")["model_stats"]
    assert len(after) == 1
    assert after[0]["inference_count"] - before[0]["inference_count"] == 10
    assert sum(halves.metric("tessera_device_up", device=device) for device in DEVICES) == 2
    for device in DEVICES:
        assert halves.metric("tessera_launches_total", model="simple", device=device) > 0


def test_models_come_and_go_on_both(halves):
    with Client(halves, "http") as client:
        assert index(halves)[("other", "1")] == "READY"
        client.raw.unload_model("other")
        assert index(halves)[("other", "1")] == "UNAVAILABLE"
        for _ in range(4):
            with pytest.raises(InferenceServerException, match="unknown model"):
                client.simple(np.ones((1, 16)), np.ones((1, 16)), model="other")
        client.raw.load_model("other")
        for _ in range(4):
            assert (client.simple(np.ones((1, 16)), np.ones((1, 16)), model="other")["OUTPUT0"] == 2).all()


def test_many_at_once_while_a_model_is_loaded_again(halves):
    def one(i):
        a = np.full((1, 16), i, np.int32)
        with Client(halves, PROTOCOLS[i % 2]) as client:
            return all((client.simple(a, a)["OUTPUT0"] == 2 * i).all() for _ in range(20))

    with ThreadPoolExecutor(6) as pool, Client(halves, "http") as client:
        answers = [pool.submit(one, i) for i in range(6)]
        for _ in range(2):
            client.raw.unload_model("other")
            client.raw.load_model("other")
        assert all(answer.result() for answer in answers)


def test_a_processor_that_is_not_there(tmp_path):
    put(tmp_path / "models", "simple", simple())
    with pytest.raises(ServeFailed) as failed:
        Serve(tmp_path / "models", "--device", "host/0,host/4000", log=tmp_path / "log")
    assert failed.value.status == 1
    assert "host/4000: there are" in failed.value.log


def devices(server, body=None):
    request = urllib.request.Request(f"http://{server.http}/v2/tessera/devices", data=body and body.encode())
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_a_device_added_under_load_takes_its_share(tmp_path):
    put(tmp_path / "models", "simple", simple())
    journal = tmp_path / "journal"
    with Serve(tmp_path / "models", "--device", "host/0", "--record", journal, log=tmp_path / "log") as server:
        assert server.metric("tessera_device_up", device="host/0") == 1

        def one(i):
            a = np.full((1, 16), i, np.int32)
            with Client(server, PROTOCOLS[i % 2]) as client:
                for _ in range(600):
                    if not (client.simple(a, a)["OUTPUT0"] == 2 * i).all():
                        return False
            return True

        with ThreadPoolExecutor(4) as pool:
            answers = [pool.submit(one, i) for i in range(4)]
            while launches_of(server, "host/0") < 100:
                time.sleep(0.01)
            request = urllib.request.Request(f"http://{server.http}/v2/tessera/policy", data=b'{"policy": "temporal"}')
            urllib.request.urlopen(request, timeout=10).close()
            status, after = devices(server, '{"add": "host/1"}')
            added = time.monotonic()
            assert status == 200 and [d["device"] for d in after["devices"]] == ["host/0", "host/1"], after
            while launches_of(server, "host/1") < 20:
                assert time.monotonic() < added + 2
                time.sleep(0.01)
            assert all(answer.result() for answer in answers)
        assert devices(server)[1]["devices"][1]["launches"] >= 20
        assert index(server)[("simple", "1")] == "READY"
        assert server.stop() == 0, server.log()
    replay = subprocess.run([BINARY, "simulate", "--replay", journal], capture_output=True, text=True, timeout=60)
    assert replay.returncode == 0 and "policy temporal at the start" in replay.stdout, replay


def launches_of(server, device):
    return {d["device"]: d["launches"] for d in devices(server)[1]["devices"]}[device]


def test_what_cannot_be_added_says_why(halves):
    for body, text in [
        ('{"add": "host/1"}', "belongs to 'host/1', which is there already"),
        ('{"add": "host"}', "belongs to 'host/0', which is there already"),
        ('{"add": "cuda:0"}', "all devices of a server are of one kind"),
        ('{"add": "auto"}', "one device can be added at a time"),
        ('{"add": "host/2,host/3"}', "one device can be added at a time"),
        ('{"add": "host/4000"}', "host/4000: there are"),
        ('{"add": "toaster"}', "'toaster' is none of host"),
        ('{"add": 1}', "'add' must be a string"),
        ('{"remove": "host/1"}', "unknown field 'remove'"),
        ("nonsense", ""),
    ]:
        status, answer = devices(halves, body)
        assert status == 400 and text in answer["error"], (body, answer)
    assert [d["device"] for d in devices(halves)[1]["devices"]] == list(DEVICES)
    assert all(d["up"] and d["stuck"] == 0 for d in devices(halves)[1]["devices"])
