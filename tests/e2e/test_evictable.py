"""Models that leave for want of memory and come back at their next request, on a pretended GPU of 100 MB."""

import json
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from clients import PROTOCOLS, Client, InferenceServerException
from serving import FAULTY, Serve

pytestmark = pytest.mark.skipif(not FAULTY.exists(), reason="tessera_faulty is not built")

MODEL = """tessera-fake 1
input INPUT0 INT32 [4]
output OUTPUT0 INT32 [4] copy INPUT0
latency 1 1 1ms
memory 60
load_time 300ms
"""
EVICTABLE = 'parameters { key: "evictable" value { string_value: "true" } }\n'
ASIDE = "set aside for want of memory: comes back at its next request"
ROW = np.array([1, 2, 3, 4], dtype=np.int32)


def put(folder, name, text=MODEL, config=EVICTABLE):
    (folder / name / "1").mkdir(parents=True, exist_ok=True)
    (folder / name / "1" / "model.onnx").write_text(text)
    (folder / name / "config.pbtxt").write_text(config)


@pytest.fixture
def start(tmp_path):
    running = []

    def run(*flags, **how):
        running.append(Serve(tmp_path / "models", *flags, "--cache-dir", "", log=tmp_path / "server.log",
                             binary=FAULTY, **how))
        return running[-1]

    yield run
    for server in running:
        server.process.kill()
        server.stop()


@pytest.fixture
def server(start, tmp_path):
    """Of `a` and `b` one has room at a time."""
    for name in ("a", "b"):
        put(tmp_path / "models", name)
    return start()


def index(server):
    request = urllib.request.Request(f"http://{server.http}/v2/repository/index", data=b"{}")
    with urllib.request.urlopen(request, timeout=20) as answer:
        return {m["name"]: (m["state"], m.get("reason", "")) for m in json.loads(answer.read())}


def post(server, model, row=ROW, timeout_us=0):
    """Status, headers and body of an inference over HTTP."""
    tensor = {"name": "INPUT0", "shape": [4], "datatype": "INT32", "data": row.tolist()}
    body = {"inputs": [tensor], **({"parameters": {"timeout": timeout_us}} if timeout_us else {})}
    request = urllib.request.Request(f"http://{server.http}/v2/models/{model}/infer", data=json.dumps(body).encode())
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read().decode()


def soon(condition):
    """The loader may go on a little after the answer is there."""
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_next_request_brings_it_back(server, protocol):
    client = Client(server, protocol)
    assert index(server) == {"a": ("READY", ASIDE), "b": ("READY", "")}
    assert client.raw.is_model_ready("a") and client.raw.is_server_ready()
    assert "evictable" in str(client.raw.get_model_config("a"))
    assert "INPUT0" in str(client.raw.get_model_metadata("a"))
    begin = time.monotonic()
    assert (client.infer("a", {"INPUT0": ROW})["OUTPUT0"] == ROW).all()
    took = time.monotonic() - begin
    assert took > 0.3
    soon(lambda: index(server) == {"a": ("READY", ""), "b": ("READY", ASIDE)})
    assert server.metric("tessera_evictions_total", model="a") == 1
    assert server.metric("tessera_evictions_total", model="b") == 1
    assert server.metric("tessera_return_time_seconds_count", model="a") == 1
    assert 0.3 < server.metric("tessera_return_time_seconds_sum", model="a") <= took
    server.wait_for_log("a model that was set aside answers again")
    for _ in range(3):
        assert (client.infer("b", {"INPUT0": ROW})["OUTPUT0"] == ROW).all()
    assert server.metric("nv_inference_request_success", model="b") == 3
    assert server.metric("tessera_return_time_seconds_count", model="b") == 1


def test_what_waits_is_answered_together(server):
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: post(server, "a"), range(8)))
    assert [status for status, _, _ in answers] == [200] * 8
    assert server.metric("tessera_evictions_total", model="b") == 1
    soon(lambda: server.metric("tessera_requests_waiting_for_return") == 0)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_timeout_ends_the_wait(server, protocol):
    client = Client(server, protocol)
    begin = time.monotonic()
    with pytest.raises(InferenceServerException, match="Request timeout expired"):
        client.infer("a", {"INPUT0": ROW}, timeout=50_000)
    assert 0.05 <= time.monotonic() - begin < 0.3
    assert (client.infer("a", {"INPUT0": ROW})["OUTPUT0"] == ROW).all()


def test_where_the_others_are_busy_it_fails_with_a_reason(start, tmp_path):
    put(tmp_path / "models", "a")
    put(tmp_path / "models", "b", MODEL.replace("1ms", "100ms"))
    server = start()
    with ThreadPoolExecutor(64) as pool:
        busy = [pool.submit(post, server, "b") for _ in range(64)]
        until = time.monotonic() + 10
        while server.metric("nv_inference_pending_request_count", model="b") < 32:
            assert time.monotonic() < until
        status, headers, text = post(server, "a")
        assert status == 503 and int(headers["Retry-After"]) >= 1
        assert "has no more memory" in text and "was idle within 0.5 s: unload a model" in text
        assert index(server)["a"][1].startswith(ASIDE + "; the last attempt failed: ")
        assert [w.result()[0] for w in busy] == [200] * 64


def test_models_that_are_not_marked_stay(start, tmp_path):
    put(tmp_path / "models", "a", config="")
    put(tmp_path / "models", "b")
    server = start(load=("a",))
    request = urllib.request.Request(f"http://{server.http}/v2/repository/models/b/load", data=b"{}")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=20)
    assert refused.value.code == 503
    assert "no other model on the device is marked 'evictable': unload a model" in refused.value.read().decode()
    assert post(server, "a")[0] == 200
    assert server.metric("tessera_evictions_total") == 0


def test_a_wrong_value_is_named(start, tmp_path):
    put(tmp_path / "models", "a", config=EVICTABLE.replace("true", "maybe"))
    server = start(load=(), control="explicit")
    request = urllib.request.Request(f"http://{server.http}/v2/repository/models/a/load", data=b"{}")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=20)
    assert refused.value.code == 400
    assert "parameters.evictable: must be true or false, got 'maybe'" in refused.value.read().decode()


def test_a_stop_finishes_what_waits(server):
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(post, server, "a") for _ in range(3)]
        until = time.monotonic() + 10
        while server.metric("tessera_requests_waiting_for_return", model="a") < 3:
            assert time.monotonic() < until and not all(w.done() for w in waiting)
        assert server.stop() == 0
        assert [w.result()[0] for w in waiting] == [200] * 3
