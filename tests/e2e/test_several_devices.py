"""One server on two devices: halves of the host's processors."""

import json
import os
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from clients import PROTOCOLS, Client, InferenceServerException
from serving import Serve, ServeFailed
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
