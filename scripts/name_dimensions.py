#!/usr/bin/env python3
"""Gives the real models that the demonstration serves named dynamic dimensions, and writes down what they recognise.

usage: name_dimensions.py FOLDER_OF_ORIGINALS FOLDER_OF_RESULTS

The published files leave dimensions unnamed, negative or, where a model accepts any, fixed to the shape of its export.
Only the shapes of inputs and outputs change, and weights that no node uses go; results stay the same.
"""

import os
import sys

import onnx

# original -> (result, {input or output: shape})
MODELS = {
    "ch_PP-OCRv4_det_infer.onnx": (
        "ocr_detection.onnx",
        {"x": ["batch", 3, "height", "width"], "sigmoid_0.tmp_0": ["batch", 1, "height", "width"]},
    ),
    "ch_PP-OCRv4_rec_infer.onnx": (
        "ocr_recognition.onnx",
        {"x": ["batch", 3, 48, "width"], "softmax_11.tmp_0": ["batch", "steps", 6625]},
    ),
    "ch_ppocr_mobile_v2.0_cls_infer.onnx": (
        "ocr_orientation.onnx",
        {"x": ["batch", 3, 48, 192], "save_infer_model/scale_0.tmp_1": ["batch", 2]},
    ),
    "centerface.onnx": (
        "faces.onnx",
        {
            "input.1": ["batch", 3, "height", "width"],
            "537": ["batch", 1, "rows", "columns"],
            "538": ["batch", 2, "rows", "columns"],
            "539": ["batch", 2, "rows", "columns"],
            "540": ["batch", 10, "rows", "columns"],
        },
    ),
}


def name_dimensions(model: onnx.ModelProto, shapes: dict) -> None:
    graph = model.graph
    weights = {weight.name for weight in graph.initializer}
    # Old exporters list weights among the inputs too, which keeps an engine from treating them as constants.
    inputs = [value for value in graph.input if value.name not in weights]
    del graph.input[:]
    graph.input.extend(inputs)
    used = {name for node in graph.node for name in node.input}
    needed = [weight for weight in graph.initializer if weight.name in used]
    del graph.initializer[:]
    graph.initializer.extend(needed)
    # Shapes of intermediate values were inferred from the old ones.
    del graph.value_info[:]
    for value in [*graph.input, *graph.output]:
        shape = value.type.tensor_type.shape
        del shape.dim[:]
        for size in shapes[value.name]:
            dimension = shape.dim.add()
            if isinstance(size, str):
                dimension.dim_param = size
            else:
                dimension.dim_value = size


def main() -> int:
    source, target = sys.argv[1], sys.argv[2]
    for original, (result, shapes) in MODELS.items():
        model = onnx.load(os.path.join(source, original))
        name_dimensions(model, shapes)
        onnx.checker.check_model(model)
        onnx.save(model, os.path.join(target, result))
        for entry in model.metadata_props:
            if entry.key == "character":
                # One character a line; the class after the last is the space, class 0 is "nothing here".
                with open(os.path.join(target, "ocr_characters.txt"), "w", encoding="utf-8") as file:
                    file.write(entry.value.rstrip("\n") + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
