"""What each flag of `tessera serve` does, seen from outside: metrics, configuration, /proc, answers."""

import json
import os
import pathlib
import socket
import threading
import time
import urllib.error
import urllib.request

import numpy as np
import pytest

from clients import Client, InferenceServerException
from hog import trips_for
from serving import Serve, ServeFailed
from small_models import busy, put, simple

CORES = sorted(os.sched_getaffinity(0))
ONES = np.ones((1, 16), np.int32)
WEIGHT = 'parameters { key: "weight" value { string_value: "2" } }\n'


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    put(folder, "simple", simple())
    return folder


@pytest.fixture
def flags(models, tmp_path):
    """flags(*flags, ...): a server with them. It is killed at the end: how servers stop is tested elsewhere."""
    started = []

    def start(*given, repository=models, **options):
        started.append(Serve(repository, *given, log=tmp_path / f"{len(started)}.log", **options))
        return started[-1]

    yield start
    for server in started:
        server.process.kill()
        server.process.wait()


def works(server, model="simple"):
    with Client(server, "http") as client:
        return (client.simple(ONES, ONES, model=model)["OUTPUT0"] == 2).all()


def threads(server):
    """(name, cores) of every thread."""
    found = []
    for task in pathlib.Path(f"/proc/{server.process.pid}/task").iterdir():
        status = (task / "status").read_text().splitlines()
        cores = next(line.split()[1] for line in status if line.startswith("Cpus_allowed_list:"))
        found.append(((task / "comm").read_text().strip(), cores))
    return found


def status_of(url):
    try:
        return urllib.request.urlopen(url, timeout=10).status
    except urllib.error.HTTPError as error:
        return error.code


def ask(connection):
    """The status line that a connection answers to one request."""
    connection.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: t\r\n\r\n")
    return connection.recv(4096).split(b"\r\n")[0]


def test_default_slo_is_for_models_without_one(flags, tmp_path):
    put(tmp_path, "own", simple(), config='parameters { key: "slo_ms" value { string_value: "80" } }\n')
    put(tmp_path, "none", simple())
    server = flags("--default-slo-ms", "250", repository=tmp_path)
    assert server.metric("tessera_slo_seconds", model="none") == 0.25
    assert server.metric("tessera_slo_seconds", model="own") == 0.08
    assert flags().metric("tessera_slo_seconds") == 0


@pytest.mark.parametrize("policy", ["temporal", "temporal:triton=1", "streams", "fixed", "gslice", "dstack", "tessera"])
def test_policy(flags, policy, tmp_path):
    put(tmp_path, "simple", simple())
    put(tmp_path, "weighty", simple(), config=WEIGHT)
    server = flags("--policy", policy, repository=tmp_path, load=["simple"])
    assert works(server)
    with Client(server, "http") as client:
        if policy == "tessera":
            client.raw.load_model("weighty")
        else:  # which heed no weights, and say so
            with pytest.raises(InferenceServerException, match=f"parameters.weight.*'{policy.split(':')[0]}'"):
                client.raw.load_model("weighty")
    if policy.startswith("temporal"):
        until = time.monotonic() + 20
        while cores_of_one_launch(server) != len(CORES):  # a model is published before its last slices are there
            assert time.monotonic() < until, "the whole device for every batch"


def cores_of_one_launch(server):
    def launches():
        return sum(server.metric("tessera_launches_total", model="simple", atom=i) for i in range(len(CORES)))

    before = launches()
    assert works(server)
    return launches() - before


@pytest.mark.skipif(len(CORES) < 2, reason="one core has no shares")
def test_policy_with_shares(flags):
    server = flags("--policy", "fixed:share.simple=0.5,share.smiple=0.25")
    for _ in range(3):
        assert works(server)
    launches = [server.metric("tessera_launches_total", model="simple", atom=i) for i in range(len(CORES))]
    assert sorted(set(launches)) == [0, 3]
    warnings = [line for line in server.log().splitlines() if "--policy name a model that is not loaded" in line]
    assert len(warnings) == 1 and "smiple" in warnings[0]


@pytest.mark.parametrize("mode", ["spin", "low-power", "auto"])
def test_completion(flags, mode):
    """Of a GPU's polling thread; where the host computes, it changes nothing."""
    assert works(flags("--device", "host", "--completion", mode))


def test_completion_is_one_of_its_words(flags):
    with pytest.raises(ServeFailed, match="none of auto"):
        flags("--completion", "sometimes")


@pytest.mark.parametrize("device", ["host", "auto"])
def test_device(flags, device):
    server = flags("--device", device)
    assert works(server)
    assert server.metric("tessera_device_launches_total", device="host") == 1


def test_host_cores(flags):
    core = str(CORES[-1])
    server = flags("--host-cores", core)
    assert works(server)
    assert {cores for name, cores in threads(server) if name.startswith(("host:", "ort-"))} == {core}
    assert 'atom="1"' not in server.metrics_text()


def test_io_cores_and_threads(flags):
    core = str(CORES[0])
    server = flags("--io-cores", core, "--io-threads", "3")
    assert works(server)
    assert [cores for name, cores in threads(server) if name == "http"] == [core] * 3


def test_grpc_threads(flags):
    server = flags("--grpc-threads", "3")
    assert works(server)
    assert [name for name, _ in threads(server) if name == "grpc"] == ["grpc"] * 3


@pytest.mark.parametrize("level", ["info", "error"])
def test_log_format_and_level(flags, tmp_path, level):
    put(tmp_path, "simple", simple())
    put(tmp_path, "broken", b'"\n\x01')
    server = flags("--log-format", "json", "--log-level", level, "--exit-on-error", "false", repository=tmp_path)
    lines = [json.loads(line) for line in server.log().splitlines()]
    assert all({"time", "level", "message"} <= set(line) for line in lines), lines
    assert {line["level"] for line in lines} == ({"error"} if level == "error" else {"error", "warning", "info"})


def test_exit_on_error_and_strict_readiness(flags, tmp_path):
    put(tmp_path, "simple", simple())
    put(tmp_path, "broken", b"no model")
    with pytest.raises(ServeFailed) as failed:
        flags("--strict-readiness", "false", repository=tmp_path)
    assert failed.value.status == 1 and "broken" in failed.value.log
    for strict in ("true", "false"):
        server = flags("--exit-on-error", "false", "--strict-readiness", strict, repository=tmp_path)
        assert works(server)
        assert (status_of(f"http://{server.http}/v2/health/ready") == 200) == (strict == "false")


def test_record(flags, tmp_path):
    server = flags("--record", tmp_path / "journal")
    assert works(server)
    server.stop()
    assert (tmp_path / "journal").read_bytes().startswith(b"tessera journal 5\n")
    assert (tmp_path / "journal").stat().st_size > 500


def test_max_waiting(flags, tmp_path):
    put(tmp_path, "busy", busy(), config="instance_group [{ count: 1 }]\n")
    server = flags("--max-waiting", "2", repository=tmp_path)
    trips = trips_for(server, 1.5)
    outcomes = []

    def infer():
        with Client(server, "http") as client:
            try:
                client.infer("busy", {"TRIPS": np.array([trips], np.int64)})
                outcomes.append("")
            except InferenceServerException as error:
                outcomes.append(str(error))

    clients = [threading.Thread(target=infer) for _ in range(10)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    refused = [text for text in outcomes if text]
    assert len(refused) >= 6 and len(outcomes) == 10  # one runs, two wait, and some may come when those have gone
    assert all("queue" in text or "waiting" in text for text in refused), refused


def test_http_idle_timeout(flags):
    server = flags("--http-idle-timeout-secs", "1")
    with socket.create_connection(server.http_address, timeout=8) as connection:
        assert ask(connection) == b"HTTP/1.1 200 OK"
        begin = time.monotonic()
        assert connection.recv(1) == b""
        assert 0.5 < time.monotonic() - begin < 5


def test_http_max_connections(flags):
    server = flags("--http-max-connections", "2")
    with socket.create_connection(server.http_address, timeout=8) as first, \
            socket.create_connection(server.http_address, timeout=8) as second:
        assert ask(first) == ask(second) == b"HTTP/1.1 200 OK"
        with socket.create_connection(server.http_address, timeout=8) as third:
            assert third.recv(4096).startswith(b"HTTP/1.1 503 ")
        assert ask(first) == b"HTTP/1.1 200 OK"


def test_addresses_are_loopback_unless_told_otherwise(flags):
    server = flags()
    ports = {f"{int(address.rsplit(':', 1)[1]):04X}" for address in (server.http, server.grpc, server.metrics)}
    listening = []
    for table in ("tcp", "tcp6"):
        path = pathlib.Path(f"/proc/{server.process.pid}/net/{table}")
        for line in path.read_text().splitlines()[1:] if path.exists() else []:
            address, port = line.split()[1].split(":")
            if line.split()[3] == "0A" and port in ports:
                listening.append(address)
    # 127.0.0.1, and the same as a socket of both families writes it.
    assert len(listening) == 3 and set(listening) <= {"0100007F", "0000000000000000FFFF00000100007F"}, listening


def test_ipv6_addresses(flags):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no ::1")
    server = flags(*(word for kind in ("http", "grpc") for word in (f"--{kind}-address", "::1")))
    assert server.http.startswith("[::1]:") and server.grpc.startswith("[::1]:")
    assert status_of(f"http://{server.http}/v2/health/ready") == 200
    with Client(server, "grpc") as client:
        assert client.raw.is_server_ready()


def test_two_repositories(flags, models, tmp_path):
    put(tmp_path, "second", simple())
    server = flags(repository=[models, tmp_path])
    assert works(server, "simple") and works(server, "second")
