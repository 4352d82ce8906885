"""Small ONNX models that say clearly when something is wrong, and the repositories made of them."""

import pathlib

import numpy as np
from onnx import TensorProto, helper, save

IR_VERSION = 8
OPSET = 17

ALL_FIXED = {
    "BOOL": TensorProto.BOOL, "UINT8": TensorProto.UINT8, "UINT16": TensorProto.UINT16, "UINT32": TensorProto.UINT32,
    "UINT64": TensorProto.UINT64, "INT8": TensorProto.INT8, "INT16": TensorProto.INT16, "INT32": TensorProto.INT32,
    "INT64": TensorProto.INT64, "FP16": TensorProto.FLOAT16, "BF16": TensorProto.BFLOAT16, "FP32": TensorProto.FLOAT,
    "FP64": TensorProto.DOUBLE,
}


def _value(name, dtype, dims):
    return helper.make_tensor_value_info(name, dtype, dims)


def _model(nodes, inputs, outputs, initializers=()):
    graph = helper.make_graph(nodes, "g", inputs, outputs, list(initializers))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)


def simple(batched=True):
    """Triton's example: OUTPUT0 = INPUT0 + INPUT1, OUTPUT1 = INPUT0 - INPUT1, 16 integers a row."""
    dims = ["batch", 16] if batched else [16]
    return _model(
        [helper.make_node("Add", ["INPUT0", "INPUT1"], ["OUTPUT0"]),
         helper.make_node("Sub", ["INPUT0", "INPUT1"], ["OUTPUT1"])],
        [_value(n, TensorProto.INT32, dims) for n in ("INPUT0", "INPUT1")],
        [_value(n, TensorProto.INT32, dims) for n in ("OUTPUT0", "OUTPUT1")])


def identity(dtype, dims):
    return _model([helper.make_node("Identity", ["IN"], ["OUT"])], [_value("IN", dtype, dims)],
                  [_value("OUT", dtype, dims)])


def scores():
    """OUT = IN: a row of 5 scores, for the classification extension."""
    return identity(TensorProto.FLOAT, ["batch", 5])


def zeros():
    """As many zeros as the request asks for, in two dimensions."""
    return _model([helper.make_node("ConstantOfShape", ["DIMS"], ["OUT"])], [_value("DIMS", TensorProto.INT64, [2])],
                  [_value("OUT", TensorProto.FLOAT, ["a", "b"])])


def busy():
    """Keeps a core busy for a time that the request chooses: OUT = TRIPS after TRIPS multiplications of 256x256."""
    rng = np.random.default_rng(1)
    weights = helper.make_tensor("W", TensorProto.FLOAT, [256, 256],
                                 (rng.standard_normal((256, 256)) / 16).astype(np.float32).tobytes(), raw=True)
    body = helper.make_graph(
        [helper.make_node("MatMul", ["x", "W"], ["y"]), helper.make_node("Identity", ["go"], ["go_on"])],
        "body",
        [_value("i", TensorProto.INT64, []), _value("go", TensorProto.BOOL, []),
         _value("x", TensorProto.FLOAT, [256, 256])],
        [_value("go_on", TensorProto.BOOL, []), _value("y", TensorProto.FLOAT, [256, 256])])
    nodes = [
        helper.make_node("Constant", [], ["true"], value=helper.make_tensor("t", TensorProto.BOOL, [], [True])),
        helper.make_node("Squeeze", ["TRIPS"], ["trips"]),
        helper.make_node("Loop", ["trips", "true", "W"], ["last"], body=body),
        helper.make_node("ReduceSum", ["last"], ["sum"], keepdims=0),
        # The product with zero keeps the loop from being optimised away.
        helper.make_node("Constant", [], ["zero"], value=helper.make_tensor("z", TensorProto.FLOAT, [], [0.0])),
        helper.make_node("Mul", ["sum", "zero"], ["nothing"]),
        helper.make_node("Cast", ["nothing"], ["nothing_i"], to=TensorProto.INT64),
        helper.make_node("Add", ["TRIPS", "nothing_i"], ["OUT"]),
    ]
    return _model(nodes, [_value("TRIPS", TensorProto.INT64, [1])], [_value("OUT", TensorProto.INT64, [1])], [weights])


def slow_rows(width=1024, layers=6):
    """Batched; some milliseconds a row: OUT[i] = IN[i], after a chain of multiplications that add up to zero."""
    rng = np.random.default_rng(2)
    nodes, initializers, name = [], [], "IN"
    shapes = [(4, width)] + [(width, width)] * layers + [(width, 4)]
    for number, shape in enumerate(shapes):
        initializers.append(helper.make_tensor(f"W{number}", TensorProto.FLOAT, shape,
                                               (rng.standard_normal(shape) / width).astype(np.float32).tobytes(),
                                               raw=True))
        nodes.append(helper.make_node("MatMul", [name, f"W{number}"], [f"h{number}"]))
        name = f"h{number}"
    nodes += [
        helper.make_node("Constant", [], ["zero"], value=helper.make_tensor("z", TensorProto.FLOAT, [], [0.0])),
        helper.make_node("Mul", [name, "zero"], ["nothing"]),
        helper.make_node("Add", ["IN", "nothing"], ["OUT"]),
    ]
    return _model(nodes, [_value("IN", TensorProto.FLOAT, ["batch", 4])],
                  [_value("OUT", TensorProto.FLOAT, ["batch", 4])], initializers)


def put(repository, name, model, version=1, config=None, file="model.onnx"):
    """Writes <repository>/<name>/<version>/model.onnx and, if given, config.pbtxt; the model's folder."""
    folder = pathlib.Path(repository, name)
    (folder / str(version)).mkdir(parents=True, exist_ok=True)
    if isinstance(model, bytes):
        (folder / str(version) / file).write_bytes(model)
    else:
        save(model, str(folder / str(version) / file))
    if config is not None:
        (folder / "config.pbtxt").write_text(config)
    return folder


def standard_repository(repository):
    """The models that most tests share."""
    put(repository, "simple", simple())
    put(repository, "simple_unbatched", simple(batched=False))
    put(repository, "strings", identity(TensorProto.STRING, ["batch", "n"]))
    put(repository, "image", identity(TensorProto.FLOAT, ["batch", 3, 224, 224]))
    put(repository, "free", identity(TensorProto.FLOAT, ["a", "b"]), config="max_batch_size: 0\n")
    for name, dtype in ALL_FIXED.items():
        put(repository, f"identity_{name.lower()}", identity(dtype, ["batch", "n"]))
    put(repository, "busy", busy())
    labels = put(repository, "scores", scores(), config="""
max_batch_size: 4
output [{ name: "OUT" data_type: TYPE_FP32 dims: [5] label_filename: "labels.txt" }]
""")
    (labels / "labels.txt").write_text("ant\nbee\ncat\ndog\nelk\n")
    put(repository, "two_versions", simple(), version=1, config="version_policy: { all: {} }\nmax_batch_size: 8\n")
    put(repository, "two_versions", simple(), version=3)
    return repository
