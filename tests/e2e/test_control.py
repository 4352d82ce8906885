"""Parameters and the policy of a server that runs: v2/tessera/models/NAME/params and v2/tessera/policy."""

import json
import os
import threading
import urllib.error
import urllib.parse
import urllib.request

import numpy as np
import pytest

from clients import Client, InferenceServerException
from small_models import put, simple, slow_rows

SLO = 'parameters {{ key: "slo_ms" value {{ string_value: "{}" }} }}\n'
ROWS = {"IN": np.ones((8, 4), np.float32)}


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository"
    folder.mkdir()
    put(folder, "simple", simple(), config="max_batch_size: 8\n" + SLO.format(2000))
    put(folder, "rows", slow_rows(), config="max_batch_size: 8\n" + SLO.format(60000))
    return folder


def ask(server, path, body=None, method=None):
    """(status, what the answer's JSON says)"""
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(f"http://{server.http}/v2/{path}", data=data, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"{}")


def params(server, model, body=None):
    return ask(server, f"tessera/models/{urllib.parse.quote(model, safe='')}/params", body)


def policy(server, name=None):
    return ask(server, "tessera/policy", None if name is None else {"policy": name})


class Load:
    """Clients without a pause, each with one request at a time, until the block ends."""

    def __init__(self, server, model="rows", inputs=None, threads=8):
        self.answered = self.refused = 0
        self.errors = []
        self._changed = threading.Condition()
        self._stop = threading.Event()
        inputs = ROWS if inputs is None else inputs
        self._threads = [threading.Thread(target=self._work, args=(server, model, inputs)) for _ in range(threads)]

    def _work(self, server, model, inputs):
        with Client(server, "grpc") as client:
            while not self._stop.is_set():
                try:
                    client.infer(model, inputs)
                    good = True
                except InferenceServerException as error:
                    good = False
                    if "cannot be answered in time" not in str(error):
                        self.errors.append(str(error))
                with self._changed:
                    self.answered += good
                    self.refused += not good
                    self._changed.notify_all()

    def wait(self, answered=0, refused=0, timeout=60):
        """Until so many more have come."""
        with self._changed:
            goal = self.answered + answered, self.refused + refused
            assert self._changed.wait_for(lambda: self.answered >= goal[0] and self.refused >= goal[1], timeout), (
                goal, self.answered, self.refused, self.errors[:3])

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()


def test_what_holds_is_read_changed_and_shown(serve, repository):
    server = serve(repository)
    as_written = {"slo_ms": 2000, "slo_policy": "reject", "weight": 1, "reserved_share": 0, "reserved_lend": True,
                  "max_share": 1}
    assert params(server, "simple") == (200, as_written)
    changed = as_written | {"slo_ms": 12.5, "weight": 3, "max_share": 0.5}
    assert params(server, "simple", {"slo_ms": 12.5, "weight": 3, "max_share": 0.5}) == (200, changed)
    assert params(server, "simple", changed) == (200, changed), "what was read can be written back"
    status, config = ask(server, "models/simple/config")
    assert config["parameters"]["slo_ms"] == {"string_value": "12.5"}
    assert config["parameters"]["weight"] == {"string_value": "3"}
    with Client(server, "grpc") as client:
        assert client.raw.get_model_config("simple").config.parameters["slo_ms"].string_value == "12.5"
        assert client.simple([[1] * 16], [[2] * 16])["OUTPUT0"][0, 0] == 3
    assert server.metric("tessera_slo_seconds", model="simple") == 0.0125
    assert server.metric("tessera_weight", model="simple") == 3
    assert server.metric("tessera_max_share", model="simple") == 0.5
    assert server.metric("tessera_slo_seconds", model="rows") == 60, "others are as they were"
    # None at all, and back.
    assert params(server, "simple", {"slo_ms": None})[1]["slo_ms"] is None
    assert "slo_ms" not in ask(server, "models/simple/config")[1]["parameters"]
    assert 'tessera_slo_seconds{model="simple"' not in server.metrics_text()
    # The file is as it was, and a load takes what it says.
    assert "12.5" not in (repository / "simple" / "config.pbtxt").read_text()
    assert ask(server, "repository/models/simple/load", {})[0] == 200
    assert params(server, "simple") == (200, as_written)


@pytest.mark.parametrize("body, status, text", [
    ({"slo": 5}, 400, "slo: no parameter that can change"),
    ({"memory_limit_mb": 5}, 400, "memory_limit_mb: no parameter that can change"),
    ({"slo_ms": 0}, 400, "slo_ms: must be a number from 0.001"),
    ({"slo_ms": -5, "weight": 2}, 400, "slo_ms: must be a number"),
    ({"weight": "heavy"}, 400, "weight: must be a number"),
    ({"weight": None}, 400, "weight: must have a value"),
    ({"weight": [1]}, 400, "weight: must be a number, true, false, a string or null"),
    ({"max_share": 0.2, "reserved_share": 0.3}, 400, "reserved_share: is larger than max_share"),
    ({}, 400, "must name the parameters"),
    ([], 400, "must be a JSON object"),
    (b"{", 400, "malformed JSON"),
    (b'{"slo_ms":' + b"[" * 100 + b"]" * 100 + b"}", 400, "malformed JSON"),
])
def test_what_is_wrong_is_named_and_changes_nothing(server, body, status, text):
    before = params(server, "simple")
    code, answer = params(server, "simple", body)
    assert (code, text in answer["error"]) == (status, True), answer
    assert params(server, "simple") == before


def test_unknown_models_methods_and_policies(server):
    assert params(server, "nobody") == (404, {"error": "Request for unknown model: 'nobody' is not found"})
    assert params(server, "nobody", {"slo_ms": 5})[0] == 404
    assert ask(server, "tessera/policy", method="DELETE")[0] == 405
    assert ask(server, "tessera/other")[0] == 404
    code, answer = policy(server, "fancy")
    assert code == 400 and "known are: tessera, temporal" in answer["error"]
    assert policy(server, "gslice:window_ms=0")[0] == 400
    assert ask(server, "tessera/policy", {"police": "tessera"})[0] == 400
    assert policy(server) == (200, {"policy": "tessera"})


def test_shares_and_policies_that_know_none_exclude_each_other(serve, repository):
    server = serve(repository)
    assert params(server, "simple", {"weight": 2})[0] == 200
    code, answer = policy(server, "temporal")
    assert code == 501 and "model 'simple': weight: has no effect under the policy 'temporal'" in answer["error"]
    assert params(server, "simple", {"weight": 1})[0] == 200
    assert policy(server, "temporal") == (200, {"policy": "temporal"})
    code, answer = params(server, "simple", {"weight": 2})
    assert code == 501 and answer["error"] == "weight: has no effect under the policy 'temporal'"
    assert server.metric("tessera_policy", policy="temporal") == 1


def test_an_objective_changes_under_load(serve, repository):
    core = str(max(os.sched_getaffinity(0)))
    server = serve(repository, "--host-cores", core)
    with Load(server) as load:
        load.wait(answered=60)
        assert load.refused == 0, "within a minute all are answered"
        # Eight clients at once fill one core for longer than one of them takes.
        p50 = server.metric("tessera_request_latency_seconds_sum", model="rows") / server.metric(
            "tessera_request_latency_seconds_count", model="rows")
        assert params(server, "rows", {"slo_ms": p50 * 1e3 / 4})[0] == 200
        load.wait(refused=60)
        missed = server.metric("tessera_requests_with_slo_total", model="rows") - server.metric(
            "tessera_requests_slo_met_total", model="rows")
        assert missed >= 60
        assert server.metric("tessera_rejected_total", model="rows", reason="deadline") >= 60
        # Without its teeth the objective only counts: nothing is refused any more.
        assert params(server, "rows", {"slo_policy": "best_effort"})[0] == 200
        load.wait(answered=8)  # what was being refused has been
        refused = load.refused
        load.wait(answered=60)
        assert load.refused == refused
        assert params(server, "rows", {"slo_ms": 60000, "slo_policy": "reject"})[0] == 200
        load.wait(answered=60)
        assert load.refused == refused
    assert not load.errors


def test_the_policy_changes_under_load_and_no_request_is_lost(serve, repository):
    server = serve(repository)
    with Load(server, threads=4) as rows, Load(server, "simple", {
            "INPUT0": np.ones((1, 16), np.int32), "INPUT1": np.ones((1, 16), np.int32)}, threads=4) as small:
        assert params(server, "simple", {"slo_ms": 60000})[0] == 200
        for name in ("temporal", "streams", "fixed:share.rows=0.5", "gslice", "dstack", "temporal:triton=1", "tessera"):
            assert policy(server, name) == (200, {"policy": name})
            rows.wait(answered=10)
            small.wait(answered=10)
    assert not rows.errors and not small.errors
    assert rows.refused == 0 and small.refused == 0
    assert server.metric("nv_inference_pending_request_count") == 0
    assert server.metric("nv_inference_request_success", model="rows") == rows.answered
    assert server.metric("nv_inference_request_success", model="simple") == small.answered


def test_a_name_that_the_options_of_a_policy_do_not_hit_is_warned_of(serve, repository):
    server = serve(repository)
    assert policy(server, "fixed:share.nobody=0.5")[0] == 200
    server.wait_for_log("name a model that is not loaded")
