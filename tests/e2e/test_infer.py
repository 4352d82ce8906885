"""Inference with the clients that people have: every dtype, several inputs and outputs, batches, strings, streams."""

import json
import queue
import threading
import time

import numpy as np
import pytest
import tritonclient.grpc as grpcclient
import tritonclient.http as httpclient
from onnx import TensorProto

from clients import NUMPY, PROTOCOLS, Client, InferenceServerException
from raw_calls import Raw
from small_models import identity, put


@pytest.fixture(params=PROTOCOLS)
def client(server, request):
    with Client(server, request.param) as made:
        yield made


def test_add_and_subtract(client):
    a, b = np.arange(16)[None], np.full((1, 16), 3)
    out = client.simple(a, b)
    assert (out["OUTPUT0"] == a + b).all() and (out["OUTPUT1"] == a - b).all()
    assert list(out) == ["OUTPUT0", "OUTPUT1"]


def test_rows_of_a_batch_stay_apart(client):
    a = np.arange(8 * 16).reshape(8, 16)
    out = client.simple(a, a[::-1])
    assert (out["OUTPUT0"] == a + a[::-1]).all() and (out["OUTPUT1"] == a - a[::-1]).all()


def test_model_without_batch_dimension(client):
    out = client.simple(np.arange(16), np.ones(16), model="simple_unbatched")
    assert (out["OUTPUT0"] == np.arange(16) + 1).all()


def test_outputs_come_in_the_order_asked(client):
    a = np.zeros((1, 16))
    assert list(client.simple(a, a, outputs=["OUTPUT1", "OUTPUT0"])) == ["OUTPUT1", "OUTPUT0"]
    assert list(client.simple(a, a, outputs=["OUTPUT1"])) == ["OUTPUT1"]


@pytest.mark.parametrize("name", sorted(NUMPY))
def test_every_dtype(client, name):
    rng = np.random.default_rng(3)
    array = (rng.integers(0, 2, (2, 7)) if name == "BOOL" else rng.integers(0, 100, (2, 7))).astype(NUMPY[name])
    (out,) = client.infer(f"identity_{name.lower()}", {"IN": array}).values()
    assert out.dtype == array.dtype and (out == array).all()


def test_bf16(client):
    array = np.array([[1.5, -2.25, 3e38]], np.float32)
    (out,) = client.infer("identity_bf16", {"IN": array},
                          dtype="BF16").values()
    assert np.allclose(out, array, rtol=0.01)


def test_not_a_number_and_infinity_survive(client):
    array = np.array([[np.nan, np.inf, -np.inf, 0.0]], np.float32)
    (out,) = client.infer("identity_fp32", {"IN": array}).values()
    assert np.array_equal(out, array, equal_nan=True)


def test_strings_with_nul_and_invalid_utf8(client):
    array = np.array([[b"", b"a\x00b", b"\xff\xfe", "gr\u00fc\u00df".encode(), b"x" * 70000]], np.object_)
    (out,) = client.infer("strings", {"IN": array}, dtype="BYTES").values()
    assert out.tolist() == array.tolist()


def test_free_dimensions(client):
    for shape in ((1, 1), (3, 5), (100, 7)):
        array = np.random.default_rng(4).standard_normal(shape).astype(np.float32)
        (out,) = client.infer("free", {"IN": array}).values()
        assert (out == array).all()


def test_zero_sized_dimension(client):
    (out,) = client.infer("identity_fp32", {"IN": np.zeros((2, 0), np.float32)}).values()
    assert out.shape == (2, 0)


def test_600_kb_image(client):
    array = np.random.default_rng(5).standard_normal((1, 3, 224, 224)).astype(np.float32)
    (out,) = client.infer("image", {"IN": array}).values()
    assert (out == array).all()


def test_request_id_comes_back(client):
    inputs = [client.tensor(n, np.zeros((1, 16), np.int32)) for n in ("INPUT0", "INPUT1")]
    response = client.raw.infer("simple", inputs, request_id="my-42").get_response()
    assert (response["id"] if client.protocol == "http" else response.id) == "my-42"


def test_versions(client):
    a = np.ones((1, 16))
    for version in ("", "1", "3"):
        assert (client.simple(a, a, model="two_versions", model_version=version)["OUTPUT0"] == 2).all()
    with pytest.raises(InferenceServerException, match="Request for unknown model: 'two_versions' version 2 is not found|"
                                                       "Request for unknown model: 'two_versions' is not found"):
        client.simple(a, a, model="two_versions", model_version="2")


def test_classification(client):
    tensor = client.tensor("IN", np.array([[0.1, 0.9, 0.3, 0.2, 0.5], [5, 4, 3, 2, 1]], np.float32))
    wanted = client.library.InferRequestedOutput("OUT", class_count=2)
    out = client.raw.infer("scores", [tensor], outputs=[wanted]).as_numpy("OUT")
    words = [[cell.decode().split(":") for cell in row] for row in out]
    assert [[(int(c[1]), c[2]) for c in row] for row in words] == [[(1, "bee"), (4, "elk")], [(0, "ant"), (1, "bee")]]
    assert abs(float(words[0][0][0]) - 0.9) < 1e-6


def test_json_tensors_over_http(server):
    with httpclient.InferenceServerClient(server.http) as client:
        inputs = []
        for name in ("INPUT0", "INPUT1"):
            tensor = httpclient.InferInput(name, [1, 16], "INT32")
            tensor.set_data_from_numpy(np.full((1, 16), 4, np.int32), binary_data=False)
            inputs.append(tensor)
        outputs = [httpclient.InferRequestedOutput(n, binary_data=False) for n in ("OUTPUT0", "OUTPUT1")]
        result = client.infer("simple", inputs, outputs=outputs)
        assert result.get_response()["outputs"][0]["data"] == [8] * 16


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_compressed_bodies_over_http(server, algorithm):
    with httpclient.InferenceServerClient(server.http) as client:
        array = np.zeros((1, 3, 224, 224), np.float32)
        tensor = httpclient.InferInput("IN", [1, 3, 224, 224], "FP32")
        tensor.set_data_from_numpy(array)
        result = client.infer("image", [tensor], request_compression_algorithm=algorithm,
                              response_compression_algorithm=algorithm)
        assert (result.as_numpy("OUT") == array).all()


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_compressed_messages_over_grpc(server, algorithm):
    with grpcclient.InferenceServerClient(server.grpc) as client:
        array = np.zeros((1, 3, 224, 224), np.float32)
        tensor = grpcclient.InferInput("IN", [1, 3, 224, 224], "FP32")
        tensor.set_data_from_numpy(array)
        assert (client.infer("image", [tensor], compression_algorithm=algorithm).as_numpy("OUT") == array).all()


def test_many_clients_get_their_own_answers(server):
    """Concurrent requests are joined into batches; every answer must belong to its request."""
    wrong = []

    def work(protocol, seed):
        rng = np.random.default_rng(seed)
        with Client(server, protocol) as client:
            for _ in range(100):
                rows = int(rng.integers(1, 9))
                a, b = (rng.integers(-1000, 1000, (rows, 16)) for _ in range(2))
                out = client.simple(a, b)
                if not ((out["OUTPUT0"] == a + b).all() and (out["OUTPUT1"] == a - b).all()):
                    wrong.append((protocol, seed))

    threads = [threading.Thread(target=work, args=(PROTOCOLS[i % 2], i)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_async_over_http(server):
    with httpclient.InferenceServerClient(server.http, concurrency=4) as client:
        pending = []
        for i in range(20):
            inputs = []
            for name in ("INPUT0", "INPUT1"):
                tensor = httpclient.InferInput(name, [1, 16], "INT32")
                tensor.set_data_from_numpy(np.full((1, 16), i, np.int32))
                inputs.append(tensor)
            pending.append((i, client.async_infer("simple", inputs)))
        for i, result in pending:
            assert (result.get_result().as_numpy("OUTPUT0") == 2 * i).all()


def test_async_over_grpc(server):
    answers = queue.Queue()
    with grpcclient.InferenceServerClient(server.grpc) as client:
        for i in range(20):
            inputs = []
            for name in ("INPUT0", "INPUT1"):
                tensor = grpcclient.InferInput(name, [1, 16], "INT32")
                tensor.set_data_from_numpy(np.full((1, 16), i, np.int32))
                inputs.append(tensor)
            client.async_infer("simple", inputs, lambda result, error, i=i: answers.put((i, result, error)))
        for _ in range(20):
            i, result, error = answers.get(timeout=30)
            assert error is None and (result.as_numpy("OUTPUT0") == 2 * i).all()


def _stream_inputs(value, model_rows=1):
    inputs = []
    for name in ("INPUT0", "INPUT1"):
        tensor = grpcclient.InferInput(name, [model_rows, 16], "INT32")
        tensor.set_data_from_numpy(np.full((model_rows, 16), value, np.int32))
        inputs.append(tensor)
    return inputs


def test_stream(server):
    answers = queue.Queue()
    with grpcclient.InferenceServerClient(server.grpc) as client:
        client.start_stream(lambda result, error: answers.put((result, error)))
        for i in range(50):
            client.async_stream_infer("simple", _stream_inputs(i), request_id=str(i))
        client.async_stream_infer("simple", _stream_inputs(0, model_rows=9), request_id="bad")
        client.async_stream_infer("simple", _stream_inputs(7), request_id="after")
        seen, errors = {}, []
        for _ in range(52):
            result, error = answers.get(timeout=30)
            if error:
                errors.append(str(error))
            else:
                seen[result.get_response().id] = result.as_numpy("OUTPUT0")[0, 0]
        client.stop_stream()
    assert len(errors) == 1 and "batch-size must be <= 8" in errors[0]
    assert all(seen[str(i)] == 2 * i for i in range(50)) and seen["after"] == 14


def test_stream_with_a_closing_empty_response(server):
    answers = queue.Queue()
    with grpcclient.InferenceServerClient(server.grpc) as client:
        client.start_stream(lambda result, error: answers.put((result, error)))
        client.async_stream_infer("simple", _stream_inputs(1), enable_empty_final_response=True)
        last = []
        for _ in range(2):
            result, error = answers.get(timeout=30)
            assert error is None
            response = result.get_response()
            final = response.parameters.get("triton_final_response")
            last.append(final.bool_param if final else None)
            if last[-1]:
                break
        client.stop_stream()
    assert last[-1] is True


@pytest.mark.parametrize("form", ["json", "raw"])
def test_large_binary_inputs_are_not_copied(serve, tmp_path, form):
    put(tmp_path / "models", "image", identity(TensorProto.FLOAT, ["batch", 3, 224, 224]))
    server = serve(tmp_path / "models")
    image = np.arange(3 * 224 * 224, dtype=np.float32).tobytes()
    json_part = b"" if form == "raw" else json.dumps({
        "inputs": [{"name": "IN", "shape": [1, 3, 224, 224], "datatype": "FP32",
                    "parameters": {"binary_data_size": len(image)}}], "parameters": {"binary_data_output": True}}).encode()
    connection = Raw(server)
    # Tensor bytes that come in one read with the head would have to be copied from there.
    connection.send((f"POST /v2/models/image/infer HTTP/1.1\r\nHost: t\r\nContent-Length: {len(json_part) + len(image)}\r\n"
                     f"Inference-Header-Content-Length: {len(json_part)}\r\n\r\n").encode() + json_part)
    time.sleep(0.2)
    connection.send(image)
    status, headers, body = connection.answer()
    assert status == 200
    assert body[int(headers["inference-header-content-length"]):] == image
    assert server.metric("tessera_copied_tensor_bytes_total") == 0
