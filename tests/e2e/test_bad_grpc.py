"""What a peer can do wrong over gRPC: a clear status for that call, and everybody else is served on."""

import grpc
import numpy as np
import pytest
import tritonclient.grpc as grpcclient
from tritonclient.grpc import service_pb2

from clients import Client

INFER = "/inference.GRPCInferenceService/ModelInfer"


def good():
    request = service_pb2.ModelInferRequest(model_name="simple")
    for name in ("INPUT0", "INPUT1"):
        request.inputs.add(name=name, datatype="INT32", shape=[1, 16])
        request.raw_input_contents.append(np.ones(16, np.int32).tobytes())
    return request


@pytest.fixture(autouse=True)
def others_are_unharmed(server):
    with Client(server, "grpc") as client:
        client.simple(np.ones((1, 16)), np.ones((1, 16)))
        yield
        assert (client.simple(np.ones((1, 16)), np.ones((1, 16)))["OUTPUT0"] == 2).all()


def call(server, message, method=INFER):
    """Code and details of a call with these bytes."""
    with grpc.insecure_channel(server.grpc, options=[("grpc.max_send_message_length", -1)]) as channel:
        rpc = channel.unary_unary(method, request_serializer=lambda b: b, response_deserializer=lambda b: b)
        try:
            rpc(message if isinstance(message, bytes) else message.SerializeToString(), timeout=30)
            return grpc.StatusCode.OK, ""
        except grpc.RpcError as error:
            return error.code(), error.details()


def varied(change):
    request = good()
    change(request)
    return request


def drop_raw(r):
    del r.raw_input_contents[:]


def use_contents(r):
    drop_raw(r)
    for tensor in r.inputs:
        tensor.contents.int_contents.extend([1] * 16)


BAD = {
    "truncated": (good().SerializeToString()[:-7], ""),
    "garbage": (b"\xff" * 64, ""),
    "length past the end": (b"\x0a\xff\xff\xff\xff\x07simple", ""),
    "endless varint": (b"\x80" * 40, ""),
    # Groups of field 1000, which no message has: what skips them must not call itself for each.
    "200,000 groups": (good().SerializeToString() + b"\xc3\x3e" * 200000, ""),
    "200,000 closed groups": (good().SerializeToString() + b"\xc3\x3e" * 200000 + b"\xc4\x3e" * 200000, ""),
    "no model name": (varied(lambda r: r.ClearField("model_name")), ""),
    "unknown input": (varied(lambda r: setattr(r.inputs[0], "name", "WHO")),
                      "unexpected inference input 'WHO' for model 'simple'"),
    "missing input": (varied(lambda r: (r.inputs.pop(), r.raw_input_contents.pop())),
                      "expected 2 inputs but got 1 inputs for model 'simple'. Got input(s) ['INPUT0'], but missing "
                      "required input(s) ['INPUT1']. Please provide all required input(s)."),
    "no inputs": (varied(lambda r: (r.ClearField("inputs"), drop_raw(r))), ""),
    "batch too large": (varied(lambda r: [(t.shape.__setitem__(0, 9), r.raw_input_contents.__setitem__(i, bytes(9 * 64)))
                                          for i, t in enumerate(r.inputs)]),
                        "inference request batch-size must be <= 8 for 'simple'"),
    "wrong shape": (varied(lambda r: (r.inputs[0].shape.__setitem__(1, 15),
                                      r.raw_input_contents.__setitem__(0, bytes(60)))),
                    "unexpected shape for input 'INPUT0' for model 'simple'. Expected [-1,16], got [1,15]"),
    "duplicate input": (varied(lambda r: setattr(r.inputs[0], "name", "INPUT1")), "INPUT1"),
    "wrong dtype": (varied(lambda r: setattr(r.inputs[0], "datatype", "FP32")),
                    "inference input 'INPUT0' data-type is 'FP32', but model 'simple' expects 'INT32'"),
    "no such dtype": (varied(lambda r: setattr(r.inputs[0], "datatype", "INT33")), "INT33"),
    "negative shape": (varied(lambda r: r.inputs[0].shape.__setitem__(0, -1)), ""),
    "overflowing shape": (varied(lambda r: r.inputs[0].shape.__setitem__(0, 2**62)), ""),
    "too many dimensions": (varied(lambda r: r.inputs[0].shape.extend([1] * 60)), ""),
    "wrong size": (varied(lambda r: r.raw_input_contents.__setitem__(0, b"12345")),
                   "input byte size mismatch for input 'INPUT0' for model 'simple'. Expected 64, got 5"),
    "too few raw contents": (varied(lambda r: r.raw_input_contents.pop()), ""),
    "too many raw contents": (varied(lambda r: r.raw_input_contents.append(b"x")), ""),
    "neither raw nor typed": (varied(drop_raw), ""),
    "raw and typed": (varied(lambda r: r.inputs[0].contents.int_contents.extend([1] * 16)), ""),
    "typed of another kind": (varied(lambda r: (use_contents(r), r.inputs[0].ClearField("contents"),
                                                r.inputs[0].contents.fp32_contents.extend([1.0] * 16))), ""),
    "typed of wrong length": (varied(lambda r: (use_contents(r), r.inputs[0].contents.int_contents.append(1))), ""),
    "unknown output": (varied(lambda r: r.outputs.add(name="WHO")),
                       "unexpected inference output 'WHO' for model 'simple'"),
    "duplicate output": (varied(lambda r: (r.outputs.add(name="OUTPUT0"), r.outputs.add(name="OUTPUT0"))), "OUTPUT0"),
    "version is no number": (varied(lambda r: setattr(r, "model_version", "one")), ""),
    "negative timeout": (varied(lambda r: setattr(r.parameters["timeout"], "int64_param", -5)), "timeout"),
    "timeout of another kind": (varied(lambda r: setattr(r.parameters["timeout"], "string_param", "x")), "timeout"),
    "sequence": (varied(lambda r: setattr(r.parameters["sequence_id"], "int64_param", 5)), "sequence"),
    "shared memory of nobody": (varied(lambda r: (
        setattr(r.inputs[0].parameters["shared_memory_region"], "string_param", "nope"),
        setattr(r.inputs[0].parameters["shared_memory_byte_size"], "int64_param", 64),
        r.raw_input_contents.pop())), "nope"),
}


def test_the_good_request_these_tests_vary(server):
    assert call(server, good())[0] == grpc.StatusCode.OK
    assert call(server, varied(use_contents))[0] == grpc.StatusCode.OK


@pytest.mark.parametrize("case", sorted(BAD))
def test_bad_request(server, case):
    message, text = BAD[case]
    code, details = call(server, message)
    # Sequences are no mistake of the peer's, but something this server does not do.
    expected = {"sequence": grpc.StatusCode.UNIMPLEMENTED, "no model name": grpc.StatusCode.NOT_FOUND,
                "shared memory of nobody": grpc.StatusCode.NOT_FOUND}
    assert code == expected.get(case, grpc.StatusCode.INVALID_ARGUMENT), (code, details)
    assert text in details, details


@pytest.mark.parametrize("data", [b"\x05\0\0\0abcd", b"\xff\xff\xff\xffa", b"\x01\0\0", b"\x01\0\0\0ab", b""])
def test_strings_with_bad_lengths(server, data):
    request = service_pb2.ModelInferRequest(model_name="strings")
    request.inputs.add(name="IN", datatype="BYTES", shape=[1, 1])
    request.raw_input_contents.append(data)
    code, details = call(server, request)
    assert code == grpc.StatusCode.INVALID_ARGUMENT and "IN" in details, (code, details)


def test_unknown_model_and_version(server):
    assert call(server, varied(lambda r: setattr(r, "model_name", "nobody"))) == (
        grpc.StatusCode.NOT_FOUND, "Request for unknown model: 'nobody' is not found")
    assert call(server, varied(lambda r: setattr(r, "model_version", "9")))[0] == grpc.StatusCode.NOT_FOUND


def test_oversized_message(server):
    message = varied(lambda r: r.raw_input_contents.__setitem__(0, bytes(70 * 2**20)))
    # gRPC tells of the first message of a call without a word on its size.
    assert call(server, message)[0] in (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INVALID_ARGUMENT)


@pytest.mark.parametrize("method", ["ModelInfer", "ModelReady", "ModelMetadata", "ModelConfig", "ModelStatistics",
                                    "RepositoryIndex", "RepositoryModelLoad", "RepositoryModelUnload",
                                    "SystemSharedMemoryRegister", "SystemSharedMemoryStatus", "SystemSharedMemoryUnregister",
                                    "CudaSharedMemoryStatus", "CudaSharedMemoryRegister", "CudaSharedMemoryUnregister",
                                    "ServerLive", "ServerReady", "ServerMetadata", "TraceSetting", "LogSettings"])
def test_garbage_to_every_method(server, method):
    code, details = call(server, b"\xff\xff\xff\xff", f"/inference.GRPCInferenceService/{method}")
    assert code in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNIMPLEMENTED), (code, details)


def test_no_such_method(server):
    assert call(server, b"", "/inference.GRPCInferenceService/Nothing")[0] == grpc.StatusCode.UNIMPLEMENTED


def test_not_grpc_at_all(server):
    import socket

    host, port = server.grpc.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + bytes(1000))
        connection.settimeout(10)
        try:
            while connection.recv(4096):
                pass
        except OSError:
            pass


def test_call_ended_by_its_client(server):
    with grpcclient.InferenceServerClient(server.grpc) as client:
        for _ in range(50):
            tensor = grpcclient.InferInput("TRIPS", [1], "INT64")
            tensor.set_data_from_numpy(np.array([20], np.int64))
            client.async_infer("busy", [tensor], lambda result, error: None).cancel()
