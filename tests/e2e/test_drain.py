"""Ending: SIGTERM finishes what runs and refuses the rest, a second one does not wait, and nothing is left hanging."""

import datetime
import json
import os
import signal
import socket
import threading
import time

import grpc
import numpy as np
import pytest
from onnx import TensorProto
from tritonclient.grpc import service_pb2

from clients import PROTOCOLS, Client, InferenceServerException
from hog import LongRun, trips_for
from raw_calls import Raw, get, grpc_call, post
from serving import ServeFailed
from small_models import busy, identity, put, simple

INFER = "/v2/models/simple/infer"
BODY = json.dumps({"inputs": [{"name": name, "shape": [1, 16], "datatype": "INT32", "data": [1] * 16}
                              for name in ("INPUT0", "INPUT1")]}).encode()
HEALTH = "/grpc.health.v1.Health/Check"
NOT_SERVING = b"\x08\x02"


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository"
    folder.mkdir()
    put(folder, "busy", busy())
    put(folder, "simple", simple())
    return folder


def grpc_infer(server):
    request = service_pb2.ModelInferRequest(model_name="simple")
    for name in ("INPUT0", "INPUT1"):
        request.inputs.add(name=name, datatype="INT32", shape=[1, 16])
        request.raw_input_contents.append(np.ones(16, np.int32).tobytes())
    return grpc_call(server, "ModelInfer", request)


def begin_to_stop(server):
    """The first SIGTERM; returns when the server knows of it."""
    server.process.send_signal(signal.SIGTERM)
    server.wait_for_log("stopping")
    until = time.monotonic() + 5
    while get(server, "/v2/health/ready")[0] == 200:
        assert time.monotonic() < until
        time.sleep(0.01)


def ends_well(server, within):
    """Whether status 0 comes within so many seconds."""
    begin = time.monotonic()
    assert server.process.wait(within + 20) == 0, server.log()
    took = time.monotonic() - begin
    assert took < within, (took, server.log())
    return True


def time_between(server, first, second):
    """Seconds between the log lines with these words."""
    at = {word: next(line.split()[0] for line in server.log().splitlines() if f" {word}" in line)
          for word in (first, second)}
    return (datetime.datetime.fromisoformat(at[second]) - datetime.datetime.fromisoformat(at[first])).total_seconds()


def test_idle_server_ends_at_once(serve, repository):
    server = serve(repository)
    with Raw(server) as idle:
        server.process.send_signal(signal.SIGTERM)
        assert ends_well(server, 3)
        assert idle.closed()


def test_sigterm_finishes_what_runs_and_refuses_what_is_new(serve, repository):
    server = serve(repository)
    with Raw(server) as old:
        assert old.ask(INFER, BODY)[0] == 200  # before the run, which may take all cores
        run = LongRun(server, 6)
        begin_to_stop(server)
        status, headers, body = old.ask(INFER, BODY)
        assert status == 503 and b"stopping" in body, body
    status, error = post(server, INFER, BODY)
    assert status == 503 and "stopping" in error
    code, details = grpc_infer(server)
    assert code == grpc.StatusCode.UNAVAILABLE and "stopping" in details
    assert post(server, "/v2/repository/models/simple/load", b"{}")[0] == 503
    load = service_pb2.RepositoryModelLoadRequest(model_name="simple")
    assert grpc_call(server, "RepositoryModelLoad", load)[0] == grpc.StatusCode.UNAVAILABLE
    assert server.alive(), "the run was to keep the server until here"
    assert run.answered()
    assert ends_well(server, 5)


def test_readiness_says_no_while_draining(serve, repository):
    server = serve(repository)
    run = LongRun(server, 6)
    watched = []

    def watch():
        with grpc.insecure_channel(server.grpc) as channel:
            call = channel.unary_stream("/grpc.health.v1.Health/Watch", request_serializer=lambda b: b,
                                        response_deserializer=lambda b: b)(b"\x0a\x06simple")
            try:
                for status in call:
                    watched.append(status)
            except grpc.RpcError as error:
                watched.append(error.code())

    watcher = threading.Thread(target=watch)
    watcher.start()
    until = time.monotonic() + 10
    while not watched:
        assert time.monotonic() < until
        time.sleep(0.01)
    begin_to_stop(server)
    assert get(server, "/v2/health/live")[0] == 200
    status, body = get(server, "/v2/health/ready")
    assert status == 503 and json.loads(body) == {"ready": False}
    for path in ("/v2/models/simple/ready", "/v2/models/simple/versions/1/ready"):
        status, error = get(server, path)
        assert (status, error) == (503, "Model version not ready"), path
    with Client(server, "http") as client:
        assert not client.raw.is_server_ready() and not client.raw.is_model_ready("simple")
    with Client(server, "grpc") as client:
        assert client.raw.is_server_live()
        assert not client.raw.is_server_ready() and not client.raw.is_model_ready("simple")
    for name in (b"", b"\x0a\x06simple", b"\x0a\x1einference.GRPCInferenceService"):
        assert grpc_call(server, HEALTH, name) == (grpc.StatusCode.OK, NOT_SERVING), name
    assert grpc_call(server, HEALTH, b"\x0a\x06nobody")[0] == grpc.StatusCode.NOT_FOUND
    assert server.alive(), "the run was to keep the server until here"
    assert run.answered()
    assert ends_well(server, 5)
    watcher.join()
    assert watched[:2] == [b"\x08\x01", NOT_SERVING], watched


@pytest.mark.parametrize("half", ["head", "sized body", "chunked body", "body of a refused request"])
def test_half_a_request_does_not_hold_up_the_end(serve, repository, half):
    server = serve(repository)
    sent = {
        "head": b"POST /v2/models/simple/infer HTT",
        "sized body": f"POST {INFER} HTTP/1.1\r\nHost: t\r\nContent-Length: {len(BODY)}\r\n\r\n".encode() + BODY[:-9],
        "chunked body": f"POST {INFER} HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        + b"10\r\n" + BODY[:16] + b"\r\n",
        "body of a refused request": b"POST /nothing HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\nx",
    }[half]
    with Raw(server) as raw, Raw(server) as other:
        raw.send(sent)
        assert other.ask("/v2/health/live")[0] == 200
        time.sleep(0.2)  # nothing shows that the half has been read
        server.process.send_signal(signal.SIGTERM)
        status, headers, body = raw.answer()
        assert status == 503 and headers["connection"] == "close" and b"stopping" in body
        assert raw.closed()
        assert ends_well(server, 3)


def test_a_refused_client_that_goes_on_sending_does_not_hold_up_the_end(serve, repository):
    server = serve(repository)
    with Raw(server) as raw:
        raw.send(f"POST {INFER} HTTP/1.1\r\nHost: t\r\nContent-Length: {65 * 2**20}\r\n\r\n".encode())
        assert raw.answer()[0] == 413
        raw.send(b"x" * 1000)
        server.process.send_signal(signal.SIGTERM)
        assert ends_well(server, 5)
    assert "did not take their answers" not in server.log()
    # It would otherwise be listened to for 2 s.
    assert time_between(server, "stopping", "stopped") < 1


def test_an_answer_that_is_not_taken_is_a_warning(serve, repository):
    put(repository, "wide", identity(TensorProto.FLOAT, ["batch", "n"]))
    server = serve(repository)
    head = json.dumps({"inputs": [{"name": "IN", "shape": [1, 2**22], "datatype": "FP32",
                                   "parameters": {"binary_data_size": 2**24}}],
                       "parameters": {"binary_data_output": True}}).encode()
    with Raw(server) as raw:
        raw.send(f"POST /v2/models/wide/infer HTTP/1.1\r\nHost: t\r\nContent-Length: {len(head) + 2**24}\r\n"
                 f"Inference-Header-Content-Length: {len(head)}\r\n\r\n".encode() + head + bytes(2**24))
        until = time.monotonic() + 10
        while server.metric("nv_inference_request_success", model="wide") < 1:
            assert time.monotonic() < until
            time.sleep(0.02)
        server.process.send_signal(signal.SIGTERM)
        assert ends_well(server, 5)
    assert "did not take their answers" in server.log()


def slow_to_load(repository, name, trips, count):
    """A model whose warm-up runs `count` times `trips`."""
    folder = put(repository, name, busy(), config=f"""
max_batch_size: 0
model_warmup [{{ name: "long" count: {count}
  inputs {{ key: "TRIPS" value {{ data_type: TYPE_INT64 dims: [1] input_data_file: "trips" }} }} }}]
""")
    (folder / "warmup").mkdir()
    (folder / "warmup" / "trips").write_bytes(np.array([trips], np.int64).tobytes())


def wait_until_loading(server, name):
    """Until the load has been in progress for a while: by then it warms up."""
    until = time.monotonic() + 10
    while True:
        entries = json.loads(post(server, "/v2/repository/index", b"{}")[1])
        if [e.get("state") for e in entries if e["name"] == name] == ["LOADING"]:
            time.sleep(0.5)
            return
        assert time.monotonic() < until, entries
        time.sleep(0.02)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_load_in_progress_ends_with_its_step(serve, repository, protocol):
    server = serve(repository)
    slow_to_load(repository, "slow", trips_for(server, 0.5), 100)
    outcome = []

    def load():
        with Client(server, protocol) as client:
            try:
                client.raw.load_model("slow")
            except InferenceServerException as error:
                outcome.append(error)

    loading = threading.Thread(target=load)
    loading.start()
    wait_until_loading(server, "slow")
    server.process.send_signal(signal.SIGTERM)
    assert ends_well(server, 8)
    loading.join()
    assert [e.status() for e in outcome] == ["503" if protocol == "http" else "StatusCode.UNAVAILABLE"], outcome
    assert "stopping" in str(outcome[0])


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core makes one device")
def test_a_device_that_is_being_added_ends_with_a_step_of_its_loads(serve, repository):
    server = serve(repository, "--device", "host/0")
    slow_to_load(repository, "slow", trips_for(server, 0.5), 6)
    assert post(server, "/v2/repository/models/slow/load", b"{}")[0] == 200
    first = []
    adding = threading.Thread(target=lambda: first.append(post(server, "/v2/tessera/devices", b'{"add": "host/1"}')))
    adding.start()
    while len(json.loads(get(server, "/v2/tessera/devices")[1])["devices"]) == 1:
        time.sleep(0.02)
    status, text = post(server, "/v2/tessera/devices", b'{"add": "host/1"}')
    assert status == 503 and "another device is being added" in text, (status, text)
    server.process.send_signal(signal.SIGTERM)
    assert ends_well(server, 8)
    adding.join()
    status, text = first[0]
    assert status == 503 and "stopping" in text, first


def test_load_whose_step_is_too_long_is_not_waited_for(serve, repository):
    server = serve(repository, "--exit-timeout-secs", "1")
    slow_to_load(repository, "slow", trips_for(server, 40), 1)
    with Raw(server) as raw:
        raw.send(b"POST /v2/repository/models/slow/load HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\n{}")
        wait_until_loading(server, "slow")
        server.process.send_signal(signal.SIGTERM)
        assert ends_well(server, 8)
    assert "a load was still going on" in server.log()


@pytest.mark.parametrize("trips, count", [(500, 1000), (10**6, 1)], ids=["many steps", "one long step"])
def test_sigterm_while_the_start_loads_models(serve, repository, trips, count):
    slow_to_load(repository, "tardy", trips, count)
    slow_to_load(repository, "unheard", trips, count)
    server = serve(repository, "--exit-timeout-secs", "2", wait=False)
    server.wait_for_log('simple')
    time.sleep(1)
    server.process.send_signal(signal.SIGTERM)
    assert ends_well(server, 8)
    assert server.http is None, "it never was ready"


def test_second_sigterm_ends_at_once(serve, repository):
    server = serve(repository)
    run = LongRun(server, 8)
    begin_to_stop(server)
    begin = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(20) == 128 + signal.SIGTERM
    assert time.monotonic() - begin < 2
    assert not run.answered()


def test_exit_timeout(serve, repository):
    server = serve(repository, "--exit-timeout-secs", "1")
    run = LongRun(server, 8)
    begin = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(20) == 1
    assert 0.9 < time.monotonic() - begin < 5
    assert not run.answered()
    assert "requests were still running" in server.log()


def test_port_in_use_is_one_clear_line(serve, repository):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ServeFailed) as failed:
            serve(repository, "--http-port", str(port))
    assert failed.value.status == 1 and str(port) in failed.value.log


def test_killed_server_leaves_nothing_that_hinders_the_next(serve, repository):
    server = serve(repository)
    server.process.kill()
    server.process.wait()
    again = serve(repository)
    with Client(again, "http") as client:
        assert (client.simple(np.ones((1, 16)), np.ones((1, 16)))["OUTPUT0"] == 2).all()
