"""System shared memory: used by inputs and outputs of both protocols, and confined."""

import json
import pathlib

import numpy as np
import pytest
import tritonclient.utils.shared_memory as shm

from clients import PROTOCOLS, Client, refused
from raw_calls import get, post


@pytest.fixture(params=PROTOCOLS)
def client(server, request):
    with Client(server, request.param) as made:
        made.raw.unregister_system_shared_memory()
        yield made
        made.raw.unregister_system_shared_memory()


@pytest.fixture
def region():
    handle = shm.create_shared_memory_region("test", "/tessera_test", 256)
    yield handle
    shm.destroy_shared_memory_region(handle)


def names(client):
    status = client.raw.get_system_shared_memory_status()
    return {r["name"] for r in status} if client.protocol == "http" else set(status.regions)


def test_inputs_and_outputs(client, region):
    a, b = np.arange(16, dtype=np.int32)[None], np.full((1, 16), 5, np.int32)
    shm.set_shared_memory_region(region, [a, b])
    client.raw.register_system_shared_memory("r", "/tessera_test", 256)
    assert names(client) == {"r"}
    inputs = []
    for number, name in enumerate(("INPUT0", "INPUT1")):
        tensor = client.library.InferInput(name, [1, 16], "INT32")
        tensor.set_shared_memory("r", 64, offset=64 * number)
        inputs.append(tensor)
    wanted = client.library.InferRequestedOutput("OUTPUT0")
    wanted.set_shared_memory("r", 64, offset=128)
    client.raw.infer("simple", inputs, outputs=[wanted, client.library.InferRequestedOutput("OUTPUT1")])
    assert (shm.get_contents_as_numpy(region, np.int32, [1, 16], offset=128) == a + b).all()
    client.raw.unregister_system_shared_memory("r")
    assert names(client) == set()


@pytest.mark.parametrize("offset, size", [(250, 64), (2**63, 64), (2**64 - 32, 64), (0, 2**63), (256, 1), (0, 65)])
def test_bounds(client, region, offset, size):
    client.raw.register_system_shared_memory("r", "/tessera_test", 256)
    good = client.tensor("INPUT1", np.zeros((1, 16), np.int32))
    tensor = client.library.InferInput("INPUT0", [1, 16], "INT32")
    tensor.set_shared_memory("r", 64, offset=192)
    client.raw.infer("simple", [tensor, good])
    if client.protocol == "grpc" and max(offset, size) >= 2**63:
        with pytest.raises(ValueError, match="out of range"):  # its messages cannot say so much
            tensor.set_shared_memory("r", size, offset=offset)
        return
    tensor.set_shared_memory("r", size, offset=offset)
    refused(client.raw.infer, "simple", [tensor, good])


def test_output_region_too_small(client, region):
    client.raw.register_system_shared_memory("r", "/tessera_test", 256)
    inputs = [client.tensor(n, np.zeros((1, 16), np.int32)) for n in ("INPUT0", "INPUT1")]
    wanted = client.library.InferRequestedOutput("OUTPUT0")
    wanted.set_shared_memory("r", 32, offset=0)
    refused(client.raw.infer, "simple", inputs, outputs=[wanted])


@pytest.mark.parametrize("key", ["/no_such_region", "../etc/passwd", "/../etc/passwd", "/a/b", "", "/", "/..", "x" * 300])
def test_keys_are_confined(client, key):
    refused(client.raw.register_system_shared_memory, "bad", key, 64)
    assert "bad" not in names(client)


def test_registering_more_than_the_object_has(client, region):
    refused(client.raw.register_system_shared_memory, "r", "/tessera_test", 1 << 30)
    refused(client.raw.register_system_shared_memory, "r", "/tessera_test", 64, offset=1 << 40)
    assert names(client) == set()


def test_same_name_twice(client, region):
    client.raw.register_system_shared_memory("r", "/tessera_test", 256)
    assert "already in manager" in refused(client.raw.register_system_shared_memory, "r", "/tessera_test", 128)
    assert names(client) == {"r"}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_region_truncated_by_its_owner_hurts_only_its_user(server, protocol):
    """A client that shrinks its object must not bring the server down with SIGBUS."""
    with Client(server, protocol) as client:
        big = shm.create_shared_memory_region("big", "/tessera_shrinks", 1 << 20)
        try:
            client.raw.register_system_shared_memory("shrinks", "/tessera_shrinks", 1 << 20)
            with open(pathlib.Path("/dev/shm/tessera_shrinks"), "r+b") as file:
                file.truncate(0)
            good = client.tensor("INPUT1", np.zeros((1, 16), np.int32))
            tensor = client.library.InferInput("INPUT0", [1, 16], "INT32")
            tensor.set_shared_memory("shrinks", 64, offset=65536)
            refused(client.raw.infer, "simple", [tensor, good])
            client.raw.unregister_system_shared_memory("shrinks")
            assert (client.simple(np.ones((1, 16)), np.ones((1, 16)))["OUTPUT0"] == 2).all()
        finally:
            shm.destroy_shared_memory_region(big)
    assert server.alive()


def test_cuda_regions_are_refused_by_name(client):
    assert client.raw.get_cuda_shared_memory_status() is not None
    client.raw.unregister_cuda_shared_memory()
    text = refused(client.raw.register_cuda_shared_memory, "g", b"x" * 64, 0, 64, unsupported=True)
    assert "CUDA shared memory is not supported" in text


def test_status_by_name(client, region):
    client.raw.register_system_shared_memory("r", "/tessera_test", 128, offset=64)
    client.raw.register_system_shared_memory("s", "/tessera_test", 64)
    status = client.raw.get_system_shared_memory_status("r")
    if client.protocol == "http":
        assert status == [{"name": "r", "key": "/tessera_test", "offset": 64, "byte_size": 128}]
    else:
        (found,) = status.regions.values()
        assert (found.name, found.key, found.offset, found.byte_size) == ("r", "/tessera_test", 64, 128)
    assert "'nobody'" in refused(client.raw.get_system_shared_memory_status, "nobody")


def test_paths_of_the_extension(server, region):
    body = json.dumps({"key": "/tessera_test", "offset": 0, "byte_size": 64}).encode()
    assert post(server, "/v2/systemsharedmemory/region/p/register", body)[0] == 200
    assert json.loads(get(server, "/v2/systemsharedmemory/region/p/status")[1])[0]["name"] == "p"
    assert get(server, "/v2/systemsharedmemory/region/q/status")[0] == 404
    assert post(server, "/v2/systemsharedmemory/region/p/unregister", b"")[0] == 200
    assert get(server, "/v2/systemsharedmemory/region/p/status")[0] == 404
    assert json.loads(get(server, "/v2/systemsharedmemory/status")[1]) == []
    assert post(server, "/v2/systemsharedmemory/register", body)[0] == 404
