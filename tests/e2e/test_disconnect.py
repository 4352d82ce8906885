"""Clients that go away while their requests wait: nothing is computed for them."""

import json
import os
import subprocess
import sys
import time

import pytest

from hog import Hog, trips_for
from raw_calls import Raw
from small_models import busy, put, simple

# A gRPC client that can be killed: says when it is there, and asks when told.
GRPC_CLIENT = """
import sys
import numpy as np
import tritonclient.grpc as grpcclient
client = grpcclient.InferenceServerClient(sys.argv[1])
inputs = []
for name in ("INPUT0", "INPUT1"):
    inputs.append(grpcclient.InferInput(name, [16], "INT32"))
    inputs[-1].set_data_from_numpy(np.ones(16, np.int32))
assert client.is_server_live()
print("here", flush=True)
sys.stdin.readline()
for _ in range(int(sys.argv[2])):
    client.async_infer("simple_unbatched", inputs, lambda result, error: None)
sys.stdin.readline()
"""


def http_clients(server, count):
    body = json.dumps({"inputs": [{"name": name, "shape": [16], "datatype": "INT32", "data": [1] * 16}
                                  for name in ("INPUT0", "INPUT1")]}).encode()
    head = f"POST /v2/models/simple_unbatched/infer HTTP/1.1\r\nHost: t\r\nContent-Length: {len(body)}\r\n\r\n"
    clients = [Raw(server) for _ in range(count)]
    yield
    for client in clients:
        client.send(head.encode() + body)
    yield
    for client in clients:
        client.reset()
    yield


def grpc_clients(server, count):
    process = subprocess.Popen([sys.executable, "-c", GRPC_CLIENT, server.grpc, str(count)], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "here\n"
    yield
    process.stdin.write("go\n")
    process.stdin.flush()
    yield
    process.kill()
    process.communicate()
    yield


@pytest.mark.parametrize("clients", [http_clients, grpc_clients], ids=["http", "grpc"])
def test_disconnect_drops_what_is_not_launched(serve, tmp_path, clients):
    count, cores = 20, len(os.sched_getaffinity(0))
    put(tmp_path, "busy", busy(), config=f"max_batch_size: 0\ninstance_group [{{ kind: KIND_CPU count: {cores} }}]\n")
    put(tmp_path, "simple_unbatched", simple(batched=False))
    server = serve(tmp_path)

    def done():
        return (server.metric("nv_inference_count", model="simple_unbatched"),
                server.metric("tessera_launches_total", model="simple_unbatched"))

    def wait_for_pending(wanted, within):
        until = time.monotonic() + within
        while not wanted(server.metric("nv_inference_pending_request_count", model="simple_unbatched")):
            assert time.monotonic() < until, server.metrics_text()
            time.sleep(0.02)

    steps = clients(server, count)
    next(steps)
    before = done()
    # The first run on each core lasts longer than all that happens here.
    with Hog(server, trips_for(server, 6), threads=cores) as hog:
        hog.end_soon()
        next(steps)
        wait_for_pending(lambda pending: pending >= count - cores, 2)
        next(steps)
        wait_for_pending(lambda pending: pending <= cores, 2)
    wait_for_pending(lambda pending: pending == 0, 20)
    # What was launched behind a run, at most one a core, is finished.
    for now, then in zip(done(), before):
        assert now - then <= cores, (now, then)
