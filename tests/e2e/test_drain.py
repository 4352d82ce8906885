"""Ending: SIGTERM finishes what runs, a second one does not wait, and nothing is left hanging."""

import signal
import socket
import threading
import time

import numpy as np
import pytest

from clients import Client, InferenceServerException
from serving import ServeFailed
from small_models import busy, put, simple


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository"
    folder.mkdir()
    put(folder, "busy", busy())
    put(folder, "simple", simple())
    return folder


def run_long(server, seconds, outcome):
    with Client(server, "grpc") as client:
        client.infer("busy", {"TRIPS": np.array([50], np.int64)})
        begin = time.perf_counter()
        client.infer("busy", {"TRIPS": np.array([500], np.int64)})
        trips = int(500 / (time.perf_counter() - begin) * seconds)
        outcome.append("started")
        try:
            client.infer("busy", {"TRIPS": np.array([trips], np.int64)})
            outcome.append("answered")
        except InferenceServerException as error:
            outcome.append(str(error))


def start_long(server, seconds):
    outcome = []
    thread = threading.Thread(target=run_long, args=(server, seconds, outcome))
    thread.start()
    while not outcome:
        time.sleep(0.02)
    time.sleep(0.2)
    return thread, outcome


def test_idle_server_ends_at_once(serve, repository):
    server = serve(repository)
    begin = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - begin < 3


def test_sigterm_finishes_what_runs_and_refuses_what_is_new(serve, repository):
    server = serve(repository)
    thread, outcome = start_long(server, 3)
    with Client(server, "http") as client:
        assert client.raw.is_server_ready()
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        try:
            assert not client.raw.is_server_ready()
            with pytest.raises(InferenceServerException):
                client.simple(np.ones((1, 16)), np.ones((1, 16)))
        except (ConnectionError, OSError):
            pass  # refusing new connections is refusing too
    thread.join()
    assert outcome[-1] == "answered"
    assert server.process.wait(20) == 0


def test_second_sigterm_ends_at_once(serve, repository):
    server = serve(repository)
    thread, _ = start_long(server, 8)
    begin = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(5) != 0
    assert time.monotonic() - begin < 3
    thread.join()


def test_exit_timeout(serve, repository):
    server = serve(repository, "--exit-timeout-secs", "1")
    thread, _ = start_long(server, 8)
    begin = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(10)
    assert time.monotonic() - begin < 5
    thread.join()


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
