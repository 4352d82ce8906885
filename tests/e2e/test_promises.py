"""What a server says of promises that nobody could keep, and of the memory that models hold."""

import json
import re
import urllib.error
import urllib.request

import numpy as np
import pytest

from clients import Client, InferenceServerException, PROTOCOLS
from serving import ServeFailed
from small_models import put, simple, slow_rows

ROW = {"IN": np.ones((1, 4), np.float32)}


def parameter(key, value):
    return f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}\n'


def change(server, model, **values):
    """(status, what the answer's JSON says)"""
    request = urllib.request.Request(f"http://{server.http}/v2/tessera/models/{model}/params", data=json.dumps(values).encode())
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def told(server, model, protocol):
    """What a request that must be rejected is told."""
    with Client(server, protocol) as client, pytest.raises(InferenceServerException) as error:
        client.infer(model, ROW)
    assert error.value.status() in ("503", "StatusCode.UNAVAILABLE")
    return error.value.message()


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("policy", ["tessera", "temporal"])
def test_an_objective_below_the_fastest_run_is_told_shown_and_the_reason(serve, repository, policy):
    put(repository, "rows", slow_rows(), config="max_batch_size: 8\n" + parameter("slo_ms", 0.1))
    put(repository, "late", slow_rows(), config="max_batch_size: 8\n" + parameter("slo_ms", 0.1)
        + parameter("slo_policy", "best_effort"))
    put(repository, "simple", simple(), config="max_batch_size: 8\n" + parameter("slo_ms", 2000))
    server = serve(repository, "--policy", policy)
    assert server.metric("tessera_slo_impossible", model="rows") == 1
    assert server.metric("tessera_slo_impossible", model="late") == 1
    assert server.metric("tessera_slo_impossible", model="simple") == 0
    reason = r"slo_ms 0\.1 of model rows is below its fastest measured run of \d+(\.\d+)? ms"
    for protocol in PROTOCOLS:
        for _ in range(2):
            message = told(server, "rows", protocol)
            assert re.search(reason, message) and "present load" not in message, message
        with Client(server, protocol) as client:
            assert client.infer("late", ROW)["OUT"].shape == (1, 4), "answered as ever"
    assert server.metric("tessera_rejected_total", model="rows", reason="deadline") == 4
    assert server.metric("tessera_rejected_total", model="late", reason="deadline") == 0
    # Once for each, with what there is to know.
    lines = [line for line in server.log().splitlines() if "an objective is shorter than any run" in line]
    assert len(lines) == 2 and sum("model=rows" in line for line in lines) == 1, lines
    assert all(re.search(r"slo_ms=0\.1 fastest_measured_ms=\d", line) and "raise slo_ms" in line for line in lines), lines
    # An objective that it can meet, and back.
    assert change(server, "rows", slo_ms=60000)[0] == 200
    assert server.metric("tessera_slo_impossible", model="rows") == 0
    with Client(server, "grpc") as client:
        assert client.infer("rows", ROW)["OUT"].shape == (1, 4)
    assert change(server, "rows", slo_ms=0.05)[0] == 200
    assert server.metric("tessera_slo_impossible", model="rows") == 1
    assert "slo_ms 0.05 of model rows" in told(server, "rows", "http")
    assert sum("slo_ms=0.05" in line for line in server.log().splitlines()
               if "an objective is shorter than any run" in line) == 1


def test_shares_of_more_than_a_device_are_an_error_that_names_the_models(serve, repository):
    put(repository, "first", simple(), config="max_batch_size: 8\n" + parameter("reserved_share", 0.7))
    put(repository, "second", simple(), config="max_batch_size: 8\n" + parameter("reserved_share", 0.6))
    both = "would reserve 1.3 of it, more than 1: 'first' 0.7, 'second' 0.6"
    with pytest.raises(ServeFailed) as failed:
        serve(repository)
    assert both in failed.value.log
    server = serve(repository, load=("first",))
    with Client(server, "http") as client:
        with pytest.raises(InferenceServerException) as error:
            client.raw.load_model("second")
        assert both in error.value.message()
        assert client.simple([[1] * 16], [[2] * 16], model="first")["OUTPUT0"][0, 0] == 3
    assert change(server, "first", reserved_share=0.4)[0] == 200
    with Client(server, "grpc") as client:
        client.raw.load_model("second")
    status, answer = change(server, "first", reserved_share=0.5)
    assert status == 400 and "'first' 0.5, 'second' 0.6" in answer["error"], answer
    assert server.metric("tessera_reserved_share", model="first") == 0.4
    # So it is for configured shares.
    with pytest.raises(ServeFailed) as failed:
        serve(repository, "--policy", "fixed:share.first=0.7,share.second=0.5", load=("first",))
    assert "shares add up to 1.2, more than 1: 'first' 0.7, 'second' 0.5" in failed.value.log


def test_what_a_model_holds_is_shown(serve, repository):
    put(repository, "rows", slow_rows(), config="max_batch_size: 8\n")
    server = serve(repository)
    weights = server.metric("tessera_model_memory_bytes", model="rows", version=1, device="host", part="weights")
    assert 24e6 < weights < 30e6, "six matrices of 1024 x 1024 FP32 and two small ones"
    for part in ("packed", "packed_again", "working"):
        assert f'device="host",part="{part}"' in server.metrics_text()
    for protocol in PROTOCOLS:
        with Client(server, protocol) as client:
            shown = client.raw.get_model_config("rows")
        text = (shown["parameters"]["memory_bytes"]["string_value"] if protocol == "http"
                else shown.config.parameters["memory_bytes"].string_value)
        assert text.startswith(f"host weights={weights:.0f} packed="), text
    with Client(server, "http") as client:
        client.raw.unload_model("rows")
    assert 'tessera_model_memory_bytes{model="rows"' not in server.metrics_text()
