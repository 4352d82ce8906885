"""The texts of errors, which clients match: the same over HTTP and gRPC, behind the request's id."""

import re
import threading
import time

import numpy as np
import pytest

from clients import Client, InferenceServerException, PROTOCOLS
from hog import trips_per_second
from serving import Serve
from small_models import busy, put, simple, zeros

ONES = np.ones((1, 16), np.int32)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One batch at a time: while `busy` runs, all others wait. Of `waits` one request may."""
    repository = tmp_path_factory.mktemp("models")
    put(repository, "busy", busy())
    put(repository, "zeros", zeros(), config="max_batch_size: 0\n")
    put(repository, "simple", simple(), config="max_batch_size: 8\n")
    put(repository, "waits", simple(), config="""
max_batch_size: 8
dynamic_batching {
  default_queue_policy { timeout_action: REJECT allow_timeout_override: true max_queue_size: 1 }
}
""")
    with Serve(repository, "--policy", "temporal", log=tmp_path_factory.mktemp("log") / "server.log") as running:
        yield running
        assert running.alive() and running.stop() == 0, running.log()


def text(client, arrays, model="simple", id="", change=None, outputs=None, **options):
    """What the client is told of a request that must fail."""
    inputs = [client.tensor(name, array) for name, array in arrays.items()]
    if change:
        change(inputs)
    wanted = [client.library.InferRequestedOutput(name) for name in outputs] if outputs else None
    with pytest.raises(InferenceServerException) as error:
        client.raw.infer(model, inputs, outputs=wanted, request_id=id, **options)
    return error.value.message()


BOTH = {"INPUT0": ONES, "INPUT1": ONES}

WRONG = {
    "unknown input": dict(arrays={**BOTH, "WHO": ONES}),
    "missing input": dict(arrays={"INPUT0": ONES}),
    "wrong dtype": dict(arrays={**BOTH, "INPUT0": ONES.astype(np.float32)}),
    "batch too large": dict(arrays={name: np.ones((9, 16), np.int32) for name in BOTH}),
    "wrong shape": dict(arrays={**BOTH, "INPUT0": np.ones((1, 15), np.int32)}),
    "wrong size": dict(arrays=BOTH, change=lambda inputs: inputs[0].set_shape([1, 17])),
    "unknown output": dict(arrays=BOTH, outputs=["WHO"]),
}


@pytest.mark.parametrize("case", sorted(WRONG))
@pytest.mark.parametrize("id", ["", "r7"])
def test_the_same_over_both(server, case, id):
    told = []
    for protocol in PROTOCOLS:
        with Client(server, protocol) as client:
            told.append(text(client, id=id, **WRONG[case]))
    assert told[0] == told[1]
    assert re.match(rf"\[request id: {id or '<id_unknown>'}\] [^\[]", told[0]), told[0]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_is_not_known_stands_alone(server, protocol):
    with Client(server, protocol) as client:
        assert text(client, BOTH, id="r7", change=lambda inputs: inputs[0].set_shared_memory("nobody", 64)) == (
            "Unable to find system shared memory region: 'nobody'")
        assert text(client, BOTH, model="nobody", id="r7") == "Request for unknown model: 'nobody' is not found"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_requests_that_waited_in_vain(server, protocol):
    with Client(server, protocol) as client, Client(server, "http") as other, Client(server, "http") as third:
        trips = int(trips_per_second(client) * 1.5)
        running = threading.Thread(target=lambda: other.infer("busy", {"TRIPS": np.array([trips], np.int64)}))
        running.start()
        time.sleep(0.2)
        assert text(client, BOTH, "waits", id="r7", timeout=50_000) == "[request id: r7] Request timeout expired"
        waiting = threading.Thread(target=lambda: third.simple(ONES, ONES, model="waits"))
        waiting.start()
        time.sleep(0.1)
        assert text(client, BOTH, "waits", id="r8") == "[request id: r8] Exceeds maximum queue size"
        running.join()
        waiting.join()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_run_that_wants_more_memory_than_there_is(server, protocol):
    """A petabyte: the request fails, and the server answers the next."""
    with Client(server, protocol) as client:
        message = text(client, {"DIMS": np.array([1 << 24, 1 << 24], np.int64)}, model="zeros")
        assert "out of memory" in message, message
        tensor = client.tensor("DIMS", np.array([2, 3], np.int64))
        answer = client.raw.infer("zeros", [tensor]).as_numpy("OUT")
        assert answer.shape == (2, 3) and not answer.any()
