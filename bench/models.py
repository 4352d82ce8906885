"""Makes a model repository of well-known networks with random weights, for measurements: what they compute means nothing,
how long they take is theirs.

usage: models.py FOLDER [--only NAME,NAME...] [--given FP16|FP32|UINT8|UINT8:HWC]

Needs PyTorch and torchvision, and uses a GPU where there is one. Weights and what networks compute with are fp16; images
come over the wire as fp32 (or as --given says), and the server converts them on the GPU. The batch dimension is free,
weights are the same in every run. Models without the folder of a version are made; what is there is left alone.
FOLDER/flops.json tells of each model the floating-point operations of one row: two for each multiply-add of convolutions and matrix products.
"""

import argparse
import json
import pathlib
import sys
import time
import warnings

import torch
import torchvision
from torch import nn

MAX_BATCH_SIZE = 16
SMALLER = {"upload": 2}  # rows of a batch, where 16 would take more memory than requests have
OPSET = 17
SEED = 20


class Bert(nn.Module):
    """The encoder of BERT-base: 12 layers, 768 wide, 12 heads, over 128 tokens."""

    TOKENS, WIDTH, HEADS, LAYERS, WORDS = 128, 768, 12, 12, 30522

    class Layer(nn.Module):
        def __init__(self, width: int, heads: int):
            super().__init__()
            self.heads, self.head = heads, width // heads
            self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
            self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
            self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def split(self, rows):
            return rows.reshape(-1, Bert.TOKENS, self.heads, self.head).transpose(1, 2)

        def forward(self, x, mask):
            scores = self.split(self.query(x)) @ self.split(self.key(x)).transpose(2, 3)
            weights = torch.softmax(scores * self.head**-0.5 + mask, dim=-1)
            mixed = (weights @ self.split(self.value(x))).transpose(1, 2).reshape(-1, Bert.TOKENS, Bert.WIDTH)
            x = self.first(x + self.out(mixed))
            return self.second(x + self.narrow(nn.functional.gelu(self.widen(x))))

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(self.WORDS, self.WIDTH)
        self.places = nn.Parameter(torch.randn(1, self.TOKENS, self.WIDTH))
        self.norm = nn.LayerNorm(self.WIDTH)
        self.layers = nn.ModuleList(self.Layer(self.WIDTH, self.HEADS) for _ in range(self.LAYERS))

    def forward(self, ids, mask):
        x = self.norm(self.words(ids) + self.places)
        # Not minus infinity: a request that masks everything still gets numbers.
        hidden = (mask.to(x.dtype) - 1).reshape(-1, 1, 1, self.TOKENS) * 10000
        for layer in self.layers:
            x = layer(x, hidden)
        return x


class Detector(nn.Module):
    """SSD-like on MobileNetV2: classes and boxes of every anchor of six maps, without what picks among them."""

    SIDE, CLASSES, ANCHORS = 320, 91, 6
    MAPS = ((96, 20), (1280, 10), (512, 5), (256, 3), (256, 2), (128, 1))  # channels, side

    def __init__(self):
        super().__init__()
        layers = torchvision.models.mobilenet_v2(weights=None).features
        self.stages = nn.ModuleList([layers[:14], layers[14:]])
        for (channels, _), (wider, _) in zip(self.MAPS[1:], self.MAPS[2:]):
            self.stages.append(nn.Sequential(self.block(channels, wider // 2), self.depthwise(wider // 2, stride=2),
                                             self.block(wider // 2, wider)))
        self.classes, self.boxes = (
            nn.ModuleList(nn.Sequential(self.depthwise(channels), nn.Conv2d(channels, self.ANCHORS * each, 1))
                          for channels, _ in self.MAPS) for each in (self.CLASSES, 4))

    @staticmethod
    def block(channels: int, wider: int, **options) -> nn.Module:
        kernel = options.pop("kernel_size", 1)
        return nn.Sequential(nn.Conv2d(channels, wider, kernel, bias=False, **options), nn.BatchNorm2d(wider),
                             nn.ReLU6())

    @classmethod
    def depthwise(cls, channels: int, stride: int = 1) -> nn.Module:
        return cls.block(channels, channels, kernel_size=3, stride=stride, padding=1, groups=channels)

    def forward(self, image):
        classes, boxes = [], []
        for stage, of_classes, of_boxes, (_, side) in zip(self.stages, self.classes, self.boxes, self.MAPS):
            image = stage(image)
            for out, head, each in ((classes, of_classes, self.CLASSES), (boxes, of_boxes, 4)):
                out.append(head(image).permute(0, 2, 3, 1).reshape(-1, side * side * self.ANCHORS, each))
        return torch.softmax(torch.cat(classes, 1), -1), torch.cat(boxes, 1)


class Upload(nn.Module):
    """Bodies of 64 MB that are hardly computed with."""

    VALUES = 32_000_000

    def forward(self, body):
        return body.reshape(-1, 8, self.VALUES // 8).mean(-1)


def images(side: int):
    return lambda rows: {"input": torch.randn(rows, 3, side, side)}


def tokens(rows: int):
    return {"input_ids": torch.randint(0, Bert.WORDS, (rows, Bert.TOKENS)),
            "attention_mask": torch.ones(rows, Bert.TOKENS, dtype=torch.int64)}


def of_torchvision(name: str, **options):
    return lambda: getattr(torchvision.models, name)(weights=None, **options)


# name: how it is made, its inputs for so many rows, the names of its outputs
MODELS = {
    "resnet50": (of_torchvision("resnet50"), images(224), ["output"]),
    "mobilenet_v2": (of_torchvision("mobilenet_v2"), images(224), ["output"]),
    "vgg19": (of_torchvision("vgg19"), images(224), ["output"]),
    "inception_v3": (of_torchvision("inception_v3", aux_logits=False, init_weights=False), images(299), ["output"]),
    "densenet121": (of_torchvision("densenet121"), images(224), ["output"]),
    "bert_base": (Bert, tokens, ["last_hidden_state"]),
    "detector": (Detector, images(Detector.SIDE), ["classes", "boxes"]),
    "upload": (Upload, lambda rows: {"body": torch.randn(rows, Upload.VALUES)}, ["means"]),
}
TYPES = {torch.float16: "TYPE_FP16", torch.float32: "TYPE_FP32", torch.int64: "TYPE_INT64"}


def calibrate(network: nn.Module, inputs: dict) -> None:
    """Gives normalisations the statistics of what flows through, so that values keep their size through all layers."""
    norms = [each for each in network.modules() if isinstance(each, nn.BatchNorm2d)]
    for each in norms:
        each.reset_running_stats()
        each.momentum = None  # the mean over all that was seen
    # Without the dropouts, and only the normalisations learning.
    network.eval()
    for each in norms:
        each.train()
    if norms:
        with torch.no_grad():
            network(*inputs.values())
    network.eval()


def build(make, inputs_of, device: str) -> tuple[nn.Module, dict]:
    torch.manual_seed(SEED)
    network = make().to(device)
    inputs = {name: each.to(device) for name, each in inputs_of(2).items()}
    calibrate(network, inputs)
    return network.half(), {name: each.half() if each.is_floating_point() else each for name, each in inputs.items()}


def check(name: str, outputs) -> None:
    """Every row a finite answer of its own."""
    for each in outputs if isinstance(outputs, tuple) else (outputs,):
        if not torch.isfinite(each).all() or torch.equal(each[0], each[1]) or each.float().std() == 0:
            sys.exit(f"{name}: its outputs are not finite, or the same for all inputs")


def export(network: nn.Module, inputs: dict, outputs: list, file: pathlib.Path) -> None:
    batch = {name: {0: "batch"} for name in [*inputs, *outputs]}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(network, tuple(inputs.values()), str(file), input_names=list(inputs), output_names=outputs,
                          dynamic_axes=batch, opset_version=OPSET, dynamo=False)


def tensors(kind: str, named: dict) -> str:
    each = [f'  {{ name: "{name}" data_type: {TYPES[value.dtype]} dims: {list(value.shape[1:])} }}'
            for name, value in named.items()]
    return f"{kind} [\n" + ",\n".join(each) + "\n]\n"


def converts(given: str) -> str:
    return f'parameters {{ key: "convert_inputs" value {{ string_value: "input={given}" }} }}\n' if given != "FP16" else ""


def write(folder: pathlib.Path, name: str, given: str, device: str) -> None:
    make, inputs_of, output_names = MODELS[name]
    network, inputs = build(make, inputs_of, device)
    with torch.no_grad():
        outputs = network(*inputs.values())
    check(name, outputs)
    version = folder / name / "1"
    part = folder / name / "1.part"
    part.mkdir(parents=True, exist_ok=True)
    export(network, inputs, output_names, part / "model.onnx")
    named = dict(zip(output_names, outputs if isinstance(outputs, tuple) else (outputs,)))
    (folder / name / "config.pbtxt").write_text(
        f'name: "{name}"\nplatform: "onnxruntime_onnx"\nmax_batch_size: {SMALLER.get(name, MAX_BATCH_SIZE)}\n' + tensors("input", inputs) +
        tensors("output", named) + "dynamic_batching { }\n" + converts(given if "input" in inputs else "FP16"))
    part.rename(version)


def operations(network: nn.Module, inputs: dict) -> int:
    """Of one row, as the shapes of what flows through say."""
    from torch.utils.flop_counter import FlopCounterMode  # not in every PyTorch that can export

    rows = next(iter(inputs.values())).shape[0]
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(*inputs.values())
    return counter.get_total_flops() // rows


def count_operations(folder: pathlib.Path, names: list, device: str) -> None:
    """Of those that the folder's list does not have yet."""
    file = folder / "flops.json"
    known = json.loads(file.read_text()) if file.exists() else {}
    for name in names:
        if name not in known and name != "upload":
            try:
                known[name] = operations(*build(*MODELS[name][:2], device))
            except ImportError as error:
                print(f"operations are not counted: {error}", file=sys.stderr)
                return
            print(f"{name}: {known[name] / 1e9:.2f} GFLOP a row", flush=True)
    file.write_text(json.dumps(known, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--only", default=",".join(name for name in MODELS if name != "upload"), help=f"some of {','.join(MODELS)}")
    parser.add_argument("--given", default="FP32", choices=["FP16", "FP32", "UINT8", "UINT8:HWC"],
                        help="how requests give images, which the server converts on the GPU to FP16 where they are not")
    arguments = parser.parse_args()
    names = arguments.only.split(",")
    if unknown := [name for name in names if name not in MODELS]:
        parser.error(f"no such model: {', '.join(unknown)}; there are {', '.join(MODELS)}")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for name in names:
        version = arguments.folder / name / "1"
        begin = time.monotonic()
        if not version.exists():
            write(arguments.folder, name, arguments.given, device)
        size = sum(file.stat().st_size for file in version.iterdir())
        print(f"{name}: {size / 1e6:.1f} MB, {time.monotonic() - begin:.1f} s", flush=True)
    count_operations(arguments.folder, names, device)


if __name__ == "__main__":
    main()
