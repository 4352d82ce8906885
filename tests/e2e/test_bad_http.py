"""What a peer can do wrong over HTTP: one clear 4xx for that request, and everybody else is served on."""

import gzip
import json
import resource
import time
import zlib

import grpc
import numpy as np
import pytest
from tritonclient.grpc import service_pb2

from clients import Client
from raw_calls import Raw, grpc_call, post


INFER = "/v2/models/simple/infer"


def simple_json(**changes):
    body = {"inputs": [{"name": name, "shape": [1, 16], "datatype": "INT32", "data": [1] * 16}
                       for name in ("INPUT0", "INPUT1")]}
    body.update(changes)
    return body


def infer(server, body, **headers):
    return post(server, INFER, body if isinstance(body, bytes) else json.dumps(body).encode(), **headers)


def with_input(**changes):
    body = simple_json()
    body["inputs"][0].update(changes)
    return body


def binary(shape, size, data, **extra):
    """A request with both inputs in binary form; the first announces `size` bytes. Returns body and header length."""
    head = json.dumps({"inputs": [
        {"name": "INPUT0", "shape": shape, "datatype": "INT32", "parameters": {"binary_data_size": size}},
        {"name": "INPUT1", "shape": [1, 16], "datatype": "INT32", "parameters": {"binary_data_size": 64}}],
        **extra}).encode()
    return head + data, len(head)


@pytest.fixture(autouse=True)
def others_are_unharmed(server):
    """After each of these the server still answers a good request, on a connection opened before."""
    with Client(server, "http") as client:
        client.simple(np.ones((1, 16)), np.ones((1, 16)))
        yield
        assert (client.simple(np.ones((1, 16)), np.ones((1, 16)))["OUTPUT0"] == 2).all()


def test_the_good_request_these_tests_vary(server):
    assert infer(server, simple_json())[0] == 200


BAD_BODIES = {
    "empty": (b"", ""),
    "not json": (b"hello", "JSON"),
    "truncated json": (json.dumps(simple_json()).encode()[:-5], "JSON"),
    "trailing garbage": (json.dumps(simple_json()).encode() + b"x", "JSON"),
    "json array": (b"[]", ""),
    "inputs is not an array": (simple_json(inputs={}), "inputs"),
    "no inputs": ({"outputs": []}, ""),
    "missing input": (simple_json(inputs=simple_json()["inputs"][:1]),
                      "expected 2 inputs but got 1 inputs for model 'simple'. Got input(s) ['INPUT0'], but missing "
                      "required input(s) ['INPUT1']. Please provide all required input(s)."),
    "unknown input": (with_input(name="WHO"), "unexpected inference input 'WHO' for model 'simple'"),
    "duplicate input": (simple_json(inputs=[simple_json()["inputs"][0]] * 2), "INPUT0"),
    "duplicate output": (simple_json(outputs=[{"name": "OUTPUT0"}] * 2), "OUTPUT0"),
    "unknown output": (simple_json(outputs=[{"name": "WHO"}]),
                       "unexpected inference output 'WHO' for model 'simple'"),
    "wrong dtype": (with_input(datatype="FP32"),
                    "inference input 'INPUT0' data-type is 'FP32', but model 'simple' expects 'INT32'"),
    "no such dtype": (with_input(datatype="FP31"), "FP31"),
    "batch too large": (simple_json(inputs=[dict(i, shape=[9, 16], data=[1] * 144) for i in simple_json()["inputs"]]),
                        "inference request batch-size must be <= 8 for 'simple'"),
    "wrong shape": (with_input(shape=[1, 15], data=[1] * 15),
                    "unexpected shape for input 'INPUT0' for model 'simple'. Expected [-1,16], got [1,15]"),
    "negative shape": (with_input(shape=[-1, 16]), ""),
    "overflowing shape": (with_input(shape=[4611686018427387904, 16]), ""),
    "shape overflows 64 bits": (json.dumps(with_input(shape=[7])).replace("[7]", "[99999999999999999999]").encode(), ""),
    "shape is not integers": (with_input(shape=[1.5, 16]), ""),
    "too many dimensions": (with_input(shape=[1] * 40 + [16]), "dimensions"),
    "too little data": (with_input(data=[1] * 15), "INPUT0"),
    "too much data": (with_input(data=[1] * 17), "INPUT0"),
    "data out of range": (with_input(data=[2**31] + [1] * 15), "INPUT0"),
    "data of another kind": (with_input(data=["a"] * 16), "INPUT0"),
    "no data": (simple_json(inputs=[{"name": "INPUT0", "shape": [1, 16], "datatype": "INT32"},
                                    simple_json()["inputs"][1]]), "INPUT0"),
    "200,000 brackets": (b'{"inputs":' + b"[" * 200000, ""),
    "200,000 closed brackets": (b'{"x":' + b"[" * 200000 + b"]" * 200000 + b"}", ""),
    "deep objects": (b'{"a":' * 100000, ""),
    "timeout is not a number": (simple_json(parameters={"timeout": "soon"}), "timeout"),
    "negative timeout": (simple_json(parameters={"timeout": -1}), "timeout"),
    "negative priority": (simple_json(parameters={"priority": -5}), "priority"),
    "sequences": (simple_json(parameters={"sequence_id": 1, "sequence_start": True}), "sequence"),
    "classification of nothing": (simple_json(outputs=[{"name": "OUTPUT0", "parameters": {"classification": -1}}]),
                                  "classification"),
    "unknown shared memory": (simple_json(inputs=[
        {"name": n, "shape": [1, 16], "datatype": "INT32", "parameters": {
            "shared_memory_region": "nope", "shared_memory_byte_size": 64}} for n in ("INPUT0", "INPUT1")]), "nope"),
}


@pytest.mark.parametrize("case", sorted(BAD_BODIES))
def test_bad_body(server, case):
    body, text = BAD_BODIES[case]
    status, error = infer(server, body)
    # Sequences are no mistake of the peer's, but something this server does not do.
    assert 400 <= status < 500 or (case == "sequences" and status == 501), (status, error)
    assert text in error


def test_error_texts_carry_the_request_id(server):
    status, error = infer(server, with_input(name="WHO") | {"id": "r7"})
    assert error.startswith("[request id: r7] ")
    status, error = infer(server, with_input(name="WHO"))
    assert error.startswith("[request id: <id_unknown>] ")


def test_fp16_in_json_is_refused_with_a_hint(server):
    status, error = post(server, "/v2/models/identity_fp16/infer", json.dumps(
        {"inputs": [{"name": "IN", "shape": [1, 1], "datatype": "FP16", "data": [1.0]}]}).encode())
    assert status == 400 and "binary" in error


def test_unknown_model_and_version(server):
    assert post(server, "/v2/models/nobody/infer", json.dumps(simple_json()).encode()) == (
        404, "Request for unknown model: 'nobody' is not found")
    assert post(server, "/v2/models/simple/versions/9/infer", json.dumps(simple_json()).encode())[0] == 404
    assert 400 <= post(server, "/v2/models/simple/versions/x/infer", json.dumps(simple_json()).encode())[0] < 500


@pytest.mark.parametrize("value", ["-1", "x", "999999", "1e3", "18446744073709551617", "2"])
def test_wrong_inference_header_content_length(server, value):
    body, _ = binary([1, 16], 64, b"\0" * 128)
    status, error = infer(server, body, Inference_Header_Content_Length=value)
    assert 400 <= status < 500, error


@pytest.mark.parametrize("size, data", [(60, 124), (64, 100), (64, 200), (-4, 128), (2**63, 128), (0, 64)])
def test_binary_sizes_that_do_not_match(server, size, data):
    body, length = binary([1, 16], size, b"\0" * data)
    status, error = infer(server, body, Inference_Header_Content_Length=length)
    assert 400 <= status < 500, error


def test_byte_size_mismatch_text(server):
    body, length = binary([1, 16], 60, b"\0" * 124)
    _, error = infer(server, body, Inference_Header_Content_Length=length)
    assert "input byte size mismatch for input 'INPUT0' for model 'simple'. Expected 64, got 60" in error


@pytest.mark.parametrize("data", [b"\x05\0\0\0abcd", b"\xff\xff\xff\xffa", b"\x01\0\0", b"\x01\0\0\0ab", b""])
def test_strings_with_bad_lengths(server, data):
    head = json.dumps({"inputs": [{"name": "IN", "shape": [1, 1], "datatype": "BYTES",
                                   "parameters": {"binary_data_size": len(data)}}]}).encode()
    status, error = post(server, "/v2/models/strings/infer", head + data, Inference_Header_Content_Length=len(head))
    assert 400 <= status < 500, error


def test_raw_body_as_the_only_input(server):
    values = np.arange(4, dtype=np.float32)
    status, _ = post(server, "/v2/models/identity_fp32/infer", values.tobytes(), Inference_Header_Content_Length=0)
    assert status == 200
    status, error = infer(server, b"\0" * 64, Inference_Header_Content_Length=0)
    assert 400 <= status < 500 and "input" in error


def test_oversized_body_is_refused_before_it_is_sent(server):
    with Raw(server) as raw:
        raw.send(f"POST {INFER} HTTP/1.1\r\nHost: t\r\nContent-Length: {65 * 2**20}\r\n\r\n".encode())
        status, _, body = raw.answer()
        assert status == 413 and "67108864" in body.decode()


def test_oversized_chunked_body(server):
    with Raw(server) as raw:
        raw.send(f"POST {INFER} HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        chunk = b"100000\r\n" + b" " * 2**20 + b"\r\n"
        try:
            for _ in range(66):
                raw.send(chunk)
        except OSError:
            pass
        status, _, _ = raw.answer()
        assert status == 413


def test_chunked_body_is_fine(server):
    body = json.dumps(simple_json()).encode()
    with Raw(server) as raw:
        raw.send(f"POST {INFER} HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        for at in range(0, len(body), 50):
            piece = body[at:at + 50]
            raw.send(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        raw.send(b"0\r\n\r\n")
        assert raw.answer()[0] == 200


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_compression_bomb(serve, standard_models, encoding):
    server = serve(standard_models, load=["simple"])
    assert infer(server, simple_json())[0] == 200
    before = server.peak_rss_bytes()
    head, length = binary([1, 16], 500 * 2**20, b"")
    for data, headers in ((b" " * (500 * 2**20), {}), (head + bytes(500 * 2**20),
                                                       {"Inference_Header_Content_Length": length})):
        packed = gzip.compress(data, 1) if encoding == "gzip" else zlib.compress(data, 1)
        assert len(packed) < 2**22, "more of it would be refused for its own size"
        status, error = infer(server, packed, Content_Encoding=encoding, **headers)
        assert status == 413 and "67108864" in error, error
    assert server.peak_rss_bytes() - before < 150e6


def chunked(body, piece=2**16):
    out = b"".join(f"{len(body[at:at + piece]):x}\r\n".encode() + body[at:at + piece] + b"\r\n"
                   for at in range(0, len(body), piece))
    return out + b"0\r\n\r\n"


def test_max_body_mb(serve, standard_models):
    server = serve(standard_models, "--max-body-mb", "1", load=["simple", "identity_fp32"])
    good = json.dumps(simple_json()).encode()

    def sized(body):
        return infer(server, body)

    def packed(body):
        return infer(server, gzip.compress(body), Content_Encoding="gzip")

    def in_chunks(body):
        with Raw(server) as raw:
            raw.send(f"POST {INFER} HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
            raw.send(chunked(body))
            status, _, answer = raw.answer()
            return status, answer.decode()

    for way in (sized, packed, in_chunks):
        assert way(good.ljust(2**20))[0] == 200, way.__name__
        status, error = way(good.ljust(2**21))
        assert status == 413 and "1048576" in error, (way.__name__, status, error)

    def message(size):
        request = service_pb2.ModelInferRequest(model_name="identity_fp32")
        request.inputs.add(name="IN", datatype="FP32", shape=[1, size // 4])
        request.raw_input_contents.append(bytes(size))
        return request

    assert grpc_call(server, "ModelInfer", message(2**19))[0] == grpc.StatusCode.OK
    assert grpc_call(server, "ModelInfer", message(2**21))[0] == grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("encoding, body", [("gzip", b"not gzip at all"), ("deflate", b"\0\1\2\3"), ("br", b"x"),
                                            ("gzip", gzip.compress(b"{}" * 1000)[:20])])
def test_broken_compression(server, encoding, body):
    assert 400 <= infer(server, body, Content_Encoding=encoding)[0] < 500


BROKEN_REQUESTS = {
    "garbage": (b"GARBAGE\r\n\r\n", 400),
    "no path": (b"GET\r\n\r\n", 400),
    "no such version": (b"POST /v2 HTTP/9.9\r\n\r\n", 400),
    "negative length": (b"GET /v2 HTTP/1.1\r\nHost: t\r\nContent-Length: -5\r\n\r\n", 400),
    "two lengths": (b"GET /v2 HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 400),
    "long path": (b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\nHost: t\r\n\r\n", 431),
    "long header": (b"GET /v2 HTTP/1.1\r\nHost: t\r\nX: " + b"a" * 200000 + b"\r\n\r\n", 431),
    "bad chunk": (f"POST {INFER} HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".encode(), 400),
}


@pytest.mark.parametrize("case", sorted(BROKEN_REQUESTS))
def test_broken_requests(server, case):
    data, expected = BROKEN_REQUESTS[case]
    with Raw(server) as raw:
        raw.send(data)
        status, headers, body = raw.answer()
        assert status == expected, body
        assert headers["connection"] == "close" and json.loads(body)["error"]
        assert raw.closed()


def test_paths_that_try_to_escape(server):
    for path in ("/v2/models/..%2f..%2fetc%2fpasswd", "/v2/models/%00", "/v2/models/a%zz", "/v2/../../etc/passwd"):
        with Raw(server) as raw:
            raw.send(f"GET {path} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
            assert 400 <= raw.answer()[0] < 500


def test_pipelined_requests_are_answered_in_order(server):
    def request(i):
        body = json.dumps(simple_json(id=str(i))).encode()
        return f"POST {INFER} HTTP/1.1\r\nHost: t\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body

    with Raw(server) as raw:
        raw.send(b"".join(request(i) for i in range(20)))
        data, ids = b"", []
        while len(ids) < 20:
            data += raw.socket.recv(65536)
            while b"\r\n\r\n" in data:
                head, rest = data.split(b"\r\n\r\n", 1)
                length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n")
                              if line.lower().startswith(b"content-length"))
                if len(rest) < length:
                    break
                ids.append(json.loads(rest[:length])["id"])
                data = rest[length:]
        assert ids == [str(i) for i in range(20)]


def test_keep_alive_survives_an_error(server):
    with Raw(server) as raw:
        for body in (b"nonsense", json.dumps(simple_json()).encode()):
            raw.send(f"POST {INFER} HTTP/1.1\r\nHost: t\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            status, _, _ = raw.answer()
        assert status == 200


def test_empty_expect_header(server):
    body = json.dumps(simple_json()).encode()
    with Raw(server) as raw:
        raw.send(f"POST {INFER} HTTP/1.1\r\nHost: t\r\nExpect:\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        assert raw.answer()[0] == 200


def test_expect_100_continue(server):
    body = json.dumps(simple_json()).encode()
    with Raw(server) as raw:
        raw.send(f"POST {INFER} HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\n"
                 f"Content-Length: {len(body)}\r\n\r\n".encode())
        assert raw.answer()[0] == 100
        raw.send(body)
        assert raw.answer()[0] == 200


def test_slow_clients_are_ended(serve, standard_models):
    server = serve(standard_models, "--http-header-timeout-secs", "1", "--http-body-timeout-secs", "2",
                   load=["simple"])
    begin = time.monotonic()
    with Raw(server) as slow_head, Raw(server) as slow_body:
        slow_head.send(b"POST /v2 HTT")
        slow_body.send(f"POST {INFER} HTTP/1.1\r\nHost: t\r\nContent-Length: 1000\r\n\r\n{{".encode())
        for raw, limit in ((slow_head, 1), (slow_body, 2)):
            assert raw.answer()[0] == 408
            assert limit * 0.5 < time.monotonic() - begin < limit + 4
            assert raw.closed()


@pytest.mark.parametrize("cut", [10, 100, 300])
def test_disconnect_in_half_a_request(server, cut):
    body = json.dumps(simple_json()).encode()
    with Raw(server) as raw:
        data = f"POST {INFER} HTTP/1.1\r\nHost: t\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        raw.send(data[:cut])
        raw.reset()


def test_ten_thousand_idle_connections_cost_little_and_harm_nobody(serve, standard_models):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(10_000, hard - 200)
    assert count >= 1000, f"at most {hard} open files (ulimit -Hn) are allowed here"
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + 200, hard))  # the server inherits it
    server = serve(standard_models, load=("simple",))
    request = (b"GET /v2/models/simple HTTP/1.1\r\nHost: t\r\n\r\n")
    idle = [Raw(server)]
    idle[0].send(request)
    assert idle[0].answer()[0] == 200
    before = server.rss_bytes()
    for _ in range(count - 1):
        idle.append(Raw(server))
        idle[-1].send(request)
        assert idle[-1].answer()[0] == 200
    assert server.rss_bytes() - before < 100e6
    with Client(server, "grpc") as client:
        client.simple(np.zeros((1, 16)), np.zeros((1, 16)))
    for one in (idle[0], idle[-1]):
        one.send(request)
        assert one.answer()[0] == 200
    for one in idle:
        one.close()
