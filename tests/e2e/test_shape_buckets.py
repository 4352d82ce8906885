"""Requests of unlike shapes, padded to declared sizes, joined, and cut back."""

import json
import threading
import time
import urllib.error
import urllib.request

import numpy as np
import pytest
from onnx import TensorProto, helper

from clients import PROTOCOLS, Client, InferenceServerException
from serving import Serve
from small_models import _model, _value, busy, put

CONFIG = """
max_batch_size: 4
dynamic_batching { }
parameters { key: "shape_buckets" value { string_value: "seq=4|8; IDS[0]=seq; MASK[0]=seq; TWICE[0]=seq; pad IDS=7" } }
"""


def sequences():
    """TWICE = 2 * IDS; SUM = what IDS add up to, padding included; COUNT = what MASK adds up to."""
    free = ["batch", "seq"]
    nodes = [helper.make_node("Add", ["IDS", "IDS"], ["TWICE"]),
             helper.make_node("Constant", [], ["axes"], value=helper.make_tensor("a", TensorProto.INT64, [1], [1])),
             helper.make_node("ReduceSum", ["IDS", "axes"], ["SUM"]),
             helper.make_node("ReduceSum", ["MASK", "axes"], ["COUNT"])]
    return _model(nodes, [_value("IDS", TensorProto.INT64, free), _value("MASK", TensorProto.FLOAT, free)],
                  [_value("TWICE", TensorProto.INT64, free), _value("SUM", TensorProto.INT64, ["batch", 1]),
                   _value("COUNT", TensorProto.FLOAT, ["batch", 1])])


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    repository = tmp_path_factory.mktemp("shapes")
    put(repository, "seq", sequences(), config=CONFIG)
    with Serve(repository, log=tmp_path_factory.mktemp("log") / "server.log") as started:
        yield started


def executions(server):
    with Client(server, "http") as client:
        return client.raw.get_inference_statistics("seq")["model_stats"][0]["execution_count"]


def ask(client, rows, length, start=1):
    ids = np.arange(start, start + rows * length, dtype=np.int64).reshape(rows, length)
    out = client.infer("seq", {"IDS": ids, "MASK": np.ones((rows, length), np.float32)})
    return ids, out


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("length", [1, 3, 4, 5, 8])
@pytest.mark.parametrize("rows", [2, 3])
def test_what_was_padded_is_cut_off_again(server, protocol, length, rows):
    with Client(server, protocol) as client:
        ids, out = ask(client, rows, length)
        padding = (4 if length <= 4 else 8) - length
        assert out["TWICE"].shape == ids.shape and (out["TWICE"] == 2 * ids).all()
        assert (out["SUM"][:, 0] == ids.sum(1) + 7 * padding).all(), "the declared value stands in what was padded"
        assert (out["COUNT"] == length).all(), "and zero where none is declared"


def test_requests_of_unlike_shapes_are_joined(tmp_path):
    """They come while the device is busy with another model, and run together afterwards."""
    put(tmp_path / "models", "seq", sequences(), config=CONFIG)
    put(tmp_path / "models", "busy", busy())
    answers = {}
    with Serve(tmp_path / "models", "--policy", "temporal", log=tmp_path / "server.log") as server:
        def one(length):
            with Client(server, "http") as client:
                answers[length] = ask(client, 1, length, 10 * length)

        before = executions(server)
        with Client(server, "http") as client:
            occupied = client.raw.async_infer("busy", [client.tensor("TRIPS", np.array([4000], np.int64))])
            time.sleep(0.1)
            threads = [threading.Thread(target=one, args=(length,)) for length in (5, 7)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            occupied.get_result()
        assert executions(server) == before + 1
    for length, (ids, out) in answers.items():
        assert out["TWICE"].shape == (1, length) and (out["TWICE"] == 2 * ids).all()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_no_bucket_holds_is_refused(server, protocol):
    with Client(server, protocol) as client:
        with pytest.raises(InferenceServerException, match="the inputs for model 'seq' have 9 of seq, more than its largest "
                                                           "shape bucket, 8"):
            ask(client, 1, 9)
        with pytest.raises(InferenceServerException, match="input 'MASK' for model 'seq' has 3 of seq, another input 2"):
            client.infer("seq", {"IDS": np.zeros((1, 2), np.int64), "MASK": np.zeros((1, 3), np.float32)})


def test_declarations_that_are_wrong_say_so(tmp_path):
    put(tmp_path / "models", "seq", sequences(), config=CONFIG.replace("TWICE[0]", "OTHER[0]"))
    graph = _model([helper.make_node("Concat", ["IN", "IN"], ["OUT"], axis=1)],
                   [_value("IN", TensorProto.FLOAT, ["batch", "seq"])], [_value("OUT", TensorProto.FLOAT, ["batch", "more"])])
    put(tmp_path / "models", "odd", graph,
        config='max_batch_size: 2 parameters { key: "shape_buckets" value { string_value: "s=4; IN[0]=s; OUT[0]=s" } }')
    with Serve(tmp_path / "models", "--exit-on-error", "false", "--strict-readiness", "false",
               log=tmp_path / "server.log") as server:
        assert "the model has no input or output 'OTHER'" in server.log()
        assert "parameters.shape_buckets: output 'OUT' is [1,8], and its dimension 0 is not the 4 of s" in server.log()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_ends_of_what_a_request_may_be(server, protocol):
    with Client(server, protocol) as client:
        ids, out = ask(client, 0, 3)
        assert out["TWICE"].shape[0] == 0, "no rows"
        ids, out = ask(client, 2, 0)
        assert out["TWICE"].shape == (2, 0) and (out["SUM"] == 4 * 7).all(), "nothing of the axis: all is padding"
        ids = np.arange(6, dtype=np.int64).reshape(2, 3)
        out = client.infer("seq", {"IDS": ids, "MASK": np.ones((2, 3), np.float32)}, outputs=["COUNT", "TWICE"])
        assert list(out) == ["COUNT", "TWICE"] and (out["TWICE"] == 2 * ids).all()


def test_models_without_a_batch_dimension_are_padded_too(tmp_path):
    both = helper.make_node("Mul", ["IN", "IN"], ["OUT"])
    graph = _model([both, helper.make_node("ReduceSum", ["IN"], ["SUM"], keepdims=0)],
                   [_value("IN", TensorProto.FLOAT, ["h", 2, "w"])],
                   [_value("OUT", TensorProto.FLOAT, ["h", 2, "w"]), _value("SUM", TensorProto.FLOAT, [])])
    put(tmp_path / "models", "flat", graph, config='parameters { key: "shape_buckets" value { string_value: '
        '"h=2|4; w=3|9; IN[0]=h; IN[2]=w; OUT[0]=h; OUT[2]=w; pad IN=-1" } }')
    with Serve(tmp_path / "models", log=tmp_path / "server.log") as server, Client(server, "http") as client:
        for h, w in ((1, 1), (2, 3), (3, 2), (4, 9), (3, 4)):
            x = np.arange(h * 2 * w, dtype=np.float32).reshape(h, 2, w)
            out = client.infer("flat", {"IN": x})
            padded = (2 if h <= 2 else 4) * 2 * (3 if w <= 3 else 9) - x.size
            assert out["OUT"].shape == x.shape and (out["OUT"] == x * x).all()
            assert out["SUM"] == x.sum() - padded


def test_sizes_that_no_memory_holds_are_refused(tmp_path):
    """No elements, and dimensions whose product no number holds once one of them is padded."""
    graph = _model([helper.make_node("Identity", ["A"], ["OUT"]), helper.make_node("Identity", ["B"], ["OUT2"])],
                   [_value(n, TensorProto.UINT8, ["batch", "s", "free"]) for n in ("A", "B")],
                   [_value(n, TensorProto.UINT8, ["batch", "s", "free"]) for n in ("OUT", "OUT2")])
    put(tmp_path / "models", "wide", graph, config='max_batch_size: 1 parameters { key: "shape_buckets" value { '
        'string_value: "s=1|2; A[0]=s; B[0]=s; OUT[0]=s; OUT2[0]=s" } }')
    with Serve(tmp_path / "models", log=tmp_path / "server.log") as server:
        for free in (2**63 - 32, 2**63 - 1, 2**62, 2**40):
            body = {"inputs": [{"name": n, "datatype": "UINT8", "shape": [1, 0, free], "data": []} for n in ("A", "B")]}
            request = urllib.request.Request(f"http://{server.http}/v2/models/wide/infer", json.dumps(body).encode())
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(request, timeout=20)
            assert 400 <= refused.value.code < 600
        assert server.alive()
