"""gRPC beyond single calls: streams that end early, health watches, compressed messages, typed contents of every kind."""

import queue
import threading
import time

import grpc
import numpy as np
import pytest
from tritonclient.grpc import service_pb2

from clients import Client
from small_models import busy, put, simple

SERVICE = "/inference.GRPCInferenceService/"


def request(rows=1, value=1, id=""):
    message = service_pb2.ModelInferRequest(model_name="simple", id=id)
    for name in ("INPUT0", "INPUT1"):
        message.inputs.add(name=name, datatype="INT32", shape=[rows, 16])
        message.raw_input_contents.append(np.full((rows, 16), value, np.int32).tobytes())
    return message


def unary(channel):
    return channel.unary_unary(SERVICE + "ModelInfer", request_serializer=service_pb2.ModelInferRequest.SerializeToString,
                               response_deserializer=service_pb2.ModelInferResponse.FromString)


def stream(channel):
    return channel.stream_stream(SERVICE + "ModelStreamInfer",
                                 request_serializer=service_pb2.ModelInferRequest.SerializeToString,
                                 response_deserializer=service_pb2.ModelStreamInferResponse.FromString)


@pytest.fixture
def channel(server):
    with grpc.insecure_channel(server.grpc) as made:
        yield made


def wait_for(condition, seconds=10):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)


def test_stream_keeps_the_order_and_tells_which_request_failed(channel):
    def requests():
        for i in range(300):
            yield request(rows=9 if i % 50 == 7 else 1 + i % 8, value=i, id=str(i))

    answers = list(stream(channel)(requests(), timeout=60))
    assert len(answers) == 300
    for i, answer in enumerate(answers):
        assert answer.infer_response.id == str(i)
        assert bool(answer.error_message) == (i % 50 == 7)
        if not answer.error_message:
            assert np.frombuffer(answer.infer_response.raw_output_contents[0], np.int32)[0] == 2 * i


def test_streams_cancelled_in_the_middle_leave_nothing_open(server, channel):
    for _ in range(30):
        feed = queue.Queue()
        call = stream(channel)(iter(feed.get, None))
        for i in range(20):
            feed.put(request(value=i))
        next(call)
        call.cancel()
        feed.put(None)
    wait_for(lambda: server.metric("tessera_grpc_streams") == 0)
    wait_for(lambda: server.metric("tessera_grpc_inferences") == 0)


def test_stream_without_requests_ends(channel):
    assert list(stream(channel)(iter(()), timeout=10)) == []


@pytest.mark.parametrize("kind", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_compressed_messages(channel, kind):
    answer = unary(channel)(request(value=5), compression=kind, timeout=10)
    assert np.frombuffer(answer.raw_output_contents[0], np.int32)[0] == 10


def test_large_compressed_messages(channel):
    """In one of the server's pieces and in many, and well under the limit."""
    for names in (1, 40_000):
        message = request(value=3)
        message.parameters["mine"].string_param = "x" * 1000
        for i in range(names):
            message.parameters[f"of my own {i}"].string_param = "y" * 50
        for kind in (grpc.Compression.Gzip, grpc.Compression.Deflate):
            answer = unary(channel)(message, compression=kind, timeout=30)
            assert np.frombuffer(answer.raw_output_contents[0], np.int32)[0] == 6


@pytest.mark.parametrize("packed", [b"\x1f\x8b" + bytes(50), b"\x78\x9c" + b"\xff" * 50, b"\x1f\x8b", b"\x78\x9c"])
def test_broken_compressed_messages(channel, packed):
    call = channel.unary_unary(SERVICE + "ModelInfer", request_serializer=lambda b: b,
                               response_deserializer=lambda b: b)
    with pytest.raises(grpc.RpcError) as error:
        call(packed, timeout=10)
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT and "compressed" in error.value.details()


@pytest.mark.parametrize("kind", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_compressed_bomb_is_refused(server, kind):
    message = service_pb2.ModelInferRequest(model_name="simple")
    message.inputs.add(name="INPUT0", datatype="INT32", shape=[1, 16])
    message.raw_input_contents.append(bytes(500 * 2**20))
    before = server.peak_rss_bytes()
    with grpc.insecure_channel(server.grpc, options=[("grpc.max_send_message_length", -1)]) as channel:
        with pytest.raises(grpc.RpcError) as error:
            unary(channel)(message, compression=kind, timeout=60)
        assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED and "67108864" in error.value.details()
        with pytest.raises(grpc.RpcError) as error:
            list(stream(channel)(iter([message]), compression=kind, timeout=60))
        assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert unary(channel)(request(), timeout=10).model_name == "simple"
    assert server.peak_rss_bytes() - before < 150e6


def test_call_without_a_message(channel):
    call = channel.stream_unary(SERVICE + "ModelInfer", request_serializer=lambda b: b,
                                response_deserializer=lambda b: b)
    with pytest.raises(grpc.RpcError) as error:
        call(iter(()), timeout=10)
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_half_an_answer_is_never_waited_for(server, channel):
    """Calls that their clients give up at once, in large numbers."""
    call = unary(channel)
    futures = [call.future(request(), timeout=30) for _ in range(500)]
    for future in futures[::2]:
        future.cancel()
    for future in futures[1::2]:
        assert future.result().model_name == "simple"
    wait_for(lambda: server.metric("tessera_grpc_inferences") == 0)


def test_classification_outlives_its_model(serve, tmp_path):
    """Labels are those of the model that ran, which may be gone when it has."""
    repository = tmp_path / "repository"
    repository.mkdir()
    folder = put(repository, "busy", busy(), config="""
max_batch_size: 0
output [{ name: "OUT" data_type: TYPE_INT64 dims: [1] label_filename: "labels.txt" }]
""")
    (folder / "labels.txt").write_text("trips\n")
    server = serve(repository)
    with Client(server, "grpc") as client, Client(server, "http") as control:
        tensor = client.tensor("TRIPS", np.array([1500], np.int64))
        answers = []

        def ask():
            output = client.library.InferRequestedOutput("OUT", class_count=1)
            answers.append(client.raw.infer("busy", [tensor], outputs=[output]).as_numpy("OUT"))

        thread = threading.Thread(target=ask)
        thread.start()
        time.sleep(0.15)
        control.raw.unload_model("busy")
        thread.join()
    assert answers and answers[0][0] == b"1500:0:trips"


def watch(channel, service):
    name = service.encode()
    return channel.unary_stream("/grpc.health.v1.Health/Watch", request_serializer=lambda b: b,
                                response_deserializer=lambda b: b)(b"\x0a" + bytes([len(name)]) + name if name else b"")


SERVING, NOT_SERVING, SERVICE_UNKNOWN = b"\x08\x01", b"\x08\x02", b"\x08\x03"


def test_watch_tells_of_models_that_come_and_go(serve, tmp_path):
    repository = tmp_path / "repository"
    repository.mkdir()
    put(repository, "simple", simple())
    server = serve(repository, load=[])
    with grpc.insecure_channel(server.grpc) as channel, Client(server, "grpc") as client:
        model, everything = watch(channel, "simple"), watch(channel, "")
        assert next(model) == SERVICE_UNKNOWN and next(everything) == SERVING
        client.raw.load_model("simple")
        assert next(model) == SERVING
        client.raw.unload_model("simple")
        assert next(model) == SERVICE_UNKNOWN
        model.cancel()
        everything.cancel()


def test_open_streams_and_watches_do_not_hold_up_the_end(serve, tmp_path):
    repository = tmp_path / "repository"
    repository.mkdir()
    put(repository, "busy", busy())
    put(repository, "simple", simple())
    server = serve(repository)
    feed, seen = queue.Queue(), []
    with grpc.insecure_channel(server.grpc) as channel:
        call = stream(channel)(iter(feed.get, None))
        watching = watch(channel, "")
        assert next(watching) == SERVING
        feed.put(request())
        assert not next(call).error_message

        def read(answers):
            try:
                for answer in answers:
                    seen.append(answer)
            except grpc.RpcError as error:
                seen.append(error.code())

        readers = [threading.Thread(target=read, args=(answers,)) for answers in (call, watching)]
        for reader in readers:
            reader.start()
        begin = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - begin < 5
        for reader in readers:
            reader.join(10)
        feed.put(None)
    assert seen.count(grpc.StatusCode.UNAVAILABLE) == 2, seen
