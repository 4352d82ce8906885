"""Clients that keep gRPC waiting: their calls end, and cost others nothing."""

import contextlib
import gzip
import queue
import statistics
import threading
import time

import grpc
import numpy as np
import pytest
from tritonclient.grpc import service_pb2

from http2 import DATA, Http2, message

SERVICE = "/inference.GRPCInferenceService/"
LIMIT = 2


def request(value=1):
    made = service_pb2.ModelInferRequest(model_name="simple")
    for name in ("INPUT0", "INPUT1"):
        made.inputs.add(name=name, datatype="INT32", shape=[1, 16])
        made.raw_input_contents.append(np.full((1, 16), value, np.int32).tobytes())
    return made.SerializeToString()


@contextlib.contextmanager
def infer(server):
    """A function that asks the model once, and gives the bytes of the answer."""
    with grpc.insecure_channel(server.grpc) as channel:
        call = channel.unary_unary(SERVICE + "ModelInfer", request_serializer=lambda b: b,
                                   response_deserializer=lambda b: b)
        yield lambda content=request(), **options: call(content, **{"timeout": 30, **options})


@pytest.fixture(scope="module")
def impatient(standard_models, tmp_path_factory):
    from serving import Serve
    with Serve(standard_models, "--http-body-timeout-secs", str(LIMIT), load=["simple"],
               log=tmp_path_factory.mktemp("log") / "server.log") as running:
        yield running
        assert running.alive() and running.stop() == 0, running.log()


@pytest.mark.parametrize("method", [SERVICE + "ModelInfer", SERVICE + "RepositoryIndex", "/grpc.health.v1.Health/Watch"])
@pytest.mark.parametrize("sent", ["nothing", "a part"])
def test_a_message_that_does_not_come_ends_its_call(impatient, method, sent):
    with Http2(impatient.grpc) as slow, infer(impatient) as fast:
        begin = time.monotonic()
        slow.call(method)
        if sent == "a part":
            slow.frame(DATA, 0, 1, message(request())[:50])
        assert fast()
        end = slow.end_of(1, LIMIT + 5)
        assert end is not None, "the call is still open"
        assert b"did not arrive within 2 s" in end
        assert LIMIT * 0.5 < time.monotonic() - begin < LIMIT + 4
        # The connection is good for another call, as are others.
        slow.call(SERVICE + "ModelInfer", stream=3)
        slow.frame(DATA, 1, 3, message(request()))
        answer = slow.end_of(3, 10)
        assert answer is not None and b"OUTPUT0" in answer
        assert fast()
    until = time.monotonic() + 5
    while impatient.metric("tessera_grpc_inferences") != 0:
        assert time.monotonic() < until
        time.sleep(0.05)


def test_calls_that_end_before_their_limit_do_not_end_later(impatient):
    """Peers that go away while their message is awaited, then the limit passes."""
    for _ in range(20):
        with Http2(impatient.grpc) as slow:
            slow.call(SERVICE + "ModelInfer")
            slow.frame(DATA, 0, 1, message(request())[:50])
    time.sleep(LIMIT + 0.5)
    with infer(impatient) as fast:
        assert fast()


def test_streams_may_rest_between_messages(impatient):
    feed = queue.Queue()
    with grpc.insecure_channel(impatient.grpc) as channel:
        call = channel.stream_stream(SERVICE + "ModelStreamInfer", request_serializer=lambda b: b,
                                     response_deserializer=service_pb2.ModelStreamInferResponse.FromString)
        answers = call(iter(feed.get, None), timeout=60)
        time.sleep(LIMIT + 1)
        for _ in range(2):
            feed.put(request())
            assert not next(answers).error_message
            time.sleep(LIMIT + 1)
        feed.put(None)
        assert list(answers) == []


def test_large_messages_of_others_are_not_waited_for(server):
    """Messages that take long to unpack, one after another, and small ones beside them."""
    large = service_pb2.ModelInferRequest(model_name="simple")
    for name in ("INPUT0", "INPUT1"):
        large.inputs.add(name=name, datatype="INT32", shape=[1, 16])
        large.raw_input_contents.append(bytes(30 * 2**20))
    packed = gzip.compress(large.SerializeToString())
    done, took = threading.Event(), []

    def send_large():
        with infer(server) as call:
            while not done.is_set():
                begin = time.monotonic()
                with pytest.raises(grpc.RpcError) as error:
                    call(packed)
                assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT, error.value.details()
                took.append(time.monotonic() - begin)

    senders = [threading.Thread(target=send_large) for _ in range(3)]
    with infer(server) as small:
        small()
        for sender in senders:
            sender.start()
        waited = []
        while len(took) < 12:
            begin = time.monotonic()
            small()
            waited.append(time.monotonic() - begin)
            time.sleep(0.002)
        done.set()
    for sender in senders:
        sender.join()
    # Were they taken in on the thread that takes in the small ones, each of those would wait for a large one.
    one = statistics.median(took) / len(senders)
    assert statistics.median(waited) < one / 3, (statistics.median(waited), one)


def test_large_and_small_messages_of_a_stream_keep_their_order(server):
    def requests():
        for i in range(12):
            made = service_pb2.ModelInferRequest.FromString(request(i))
            made.id = str(i)
            if i % 3 == 0:
                for name in range(40_000):
                    made.parameters[f"of my own {name}"].string_param = "y" * 50
            yield made.SerializeToString()

    with grpc.insecure_channel(server.grpc) as channel:
        call = channel.stream_stream(SERVICE + "ModelStreamInfer", request_serializer=lambda b: b,
                                     response_deserializer=service_pb2.ModelStreamInferResponse.FromString)
        answers = [answer.infer_response for answer in call(iter(list(requests())), timeout=60)]
    assert [answer.id for answer in answers] == [str(i) for i in range(12)]
    assert [np.frombuffer(a.raw_output_contents[0], np.int32)[0] for a in answers] == [2 * i for i in range(12)]
