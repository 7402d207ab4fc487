# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A TensorFlow.js package with a detector of NanoDet's form, a few channels wide and of random weights."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np

WIDTH = 6
SIZE = 64


class Package:
    """Writes nodes and weights as the real package has them: channels first, but last around each convolution."""

    def __init__(self, seed: int = 0) -> None:
        self.nodes: list[dict[str, Any]] = []
        self.weights: list[tuple[str, np.ndarray[Any, Any]]] = []
        self.random = np.random.default_rng(seed)

    def node(self, name: str, op: str, inputs: list[str], **attributes: Any) -> str:
        self.nodes.append({"name": name, "op": op, "input": inputs, "attr": attributes})
        return name

    def constant(self, name: str, values: Any, dtype: str = "int32") -> str:
        self.weights.append((name, np.asarray(values, dtype)))
        return self.node(name, "Const", [])

    def transposed(self, source: str, name: str, order: list[int]) -> str:
        return self.node(name, "Transpose", [source, self.constant(f"{name}/perm", order)])

    def convolution(self, source: str, name: str, channels: tuple[int, int], kernel: int = 3, stride: int = 1) -> str:
        if kernel > 1:
            pads = self.constant(f"{name}/pads", [[0, 0], [0, 0], [1, 1], [1, 1]])
            source = self.node(f"{name}/Pad", "Pad", [source, pads])
        source = self.transposed(source, f"{name}/last", [0, 2, 3, 1])
        scale = (2 / (kernel * kernel * channels[0])) ** 0.5
        weight = self.random.normal(0, scale, (kernel, kernel, *channels))
        source = self.node(
            f"{name}/conv", "Conv2D", [source, self.constant(f"{name}/w", weight, "float32")],
            strides=numbers(1, stride, stride, 1), dilations=numbers(1, 1, 1, 1), padding=text("VALID"),
            data_format=text("NHWC"),
        )  # fmt: skip
        bias = self.constant(f"{name}/b", self.random.normal(0, 0.1, channels[1]), "float32")
        return self.transposed(self.node(f"{name}/add", "Add", [source, bias]), f"{name}/first", [0, 3, 1, 2])

    def block(self, source: str, name: str, channels: tuple[int, int], stride: int) -> str:
        source = self.convolution(source, name, channels, stride=stride)
        return self.node(f"{name}/relu", "LeakyRelu", [source], alpha={"f": 0.1})

    def pooling(self, source: str, name: str) -> str:
        pads = self.constant(f"{name}/pads", [[0, 0], [0, 0], [1, 1], [1, 1]])
        low = self.constant(f"{name}/low", -np.inf, "float32")
        source = self.transposed(self.node(f"{name}/Pad", "PadV2", [source, pads, low]), f"{name}/last", [0, 2, 3, 1])
        source = self.node(
            f"{name}/pool", "MaxPool", [source], ksize=numbers(1, 3, 3, 1), strides=numbers(1, 2, 2, 1),
            padding=text("VALID"), data_format=text("NHWC"),
        )  # fmt: skip
        return self.transposed(source, f"{name}/first", [0, 3, 1, 2])

    def resized(self, source: str, name: str, to: int) -> str:
        source = self.transposed(source, f"{name}/last", [0, 2, 3, 1])
        size = self.constant(f"{name}/size", [to, to])
        source = self.node(
            f"{name}/resize", "ResizeBilinear", [source, size], half_pixel_centers={"b": True},
            align_corners={"b": False},
        )  # fmt: skip
        return self.transposed(source, f"{name}/first", [0, 3, 1, 2])

    def head(self, source: str, name: str) -> None:
        source = self.convolution(source, name, (WIDTH, 124), kernel=1)
        sizes, axis = self.constant(f"{name}/sizes", [80, 44]), self.constant(f"{name}/axis", 1)
        split = self.node(f"{name}/split", "SplitV", [source, sizes, axis])
        scores = self.node(f"{name}/sigmoid", "Sigmoid", [split])
        for part, value, width in (("scores", scores, 80), ("bins", f"{split}:1", 44)):
            shape = self.constant(f"{name}/{part}/shape", [1, width, -1])
            flat = self.node(f"{name}/{part}", "Reshape", [value, shape])
            self.node(f"{name}/{part}/out", "Identity", [self.transposed(flat, f"{name}/{part}/t", [0, 2, 1])])

    def write(self, folder: Path) -> Path:
        """As an unpacked package: folder/package.json, LICENSE, models/nanodet.{json,bin}, floats in half precision."""
        entries: list[dict[str, Any]] = [
            {"name": name, "shape": list(array.shape), "dtype": str(array.dtype)} for name, array in self.weights
        ]
        for entry in entries:
            if entry["dtype"] == "float32":
                entry["quantization"] = {"dtype": "float16", "original_dtype": "float32"}
        content = b"".join(
            (array.astype("<f2") if array.dtype.kind == "f" else array).tobytes() for _, array in self.weights
        )
        models = folder / "models"
        models.mkdir(parents=True)
        (folder / "package.json").write_text(json.dumps({"name": "tiny", "version": "1.2.3"}))
        (folder / "LICENSE").write_text("MIT License\n")
        (models / "nanodet.bin").write_bytes(content)
        manifest = [{"paths": ["nanodet.bin"], "weights": entries}]
        graph = {"modelTopology": {"node": self.nodes}, "weightsManifest": manifest}
        (models / "nanodet.json").write_text(json.dumps(graph))
        return folder


def tiny_package() -> Package:
    """Strides 8, 16 and 32 out of seven convolutions, joined upwards and downwards as in NanoDet."""
    net = Package()
    dims = [{"size": str(n)} for n in (1, 3, SIZE, SIZE)]
    net.node("input_1", "Placeholder", [], shape={"shape": {"dim": dims}})
    source = net.pooling(net.block("input_1", "stem", (3, WIDTH), 2), "pool")
    levels = []
    for i in range(3):
        source = net.block(source, f"level{i}", (WIDTH, WIDTH), 2)
        axis = net.constant(f"level{i}/axis", 1)
        twice = net.node(f"level{i}/cat", "ConcatV2", [source, source, axis])
        levels.append(net.convolution(twice, f"narrow{i}", (2 * WIDTH, WIDTH), kernel=1))
    up1 = net.node("up1", "Add", [levels[1], net.resized(levels[2], "up1", SIZE // 16)])
    up0 = net.node("up0", "Add", [levels[0], net.resized(up1, "up0", SIZE // 8)])
    down1 = net.node("down1", "Add", [up1, net.resized(up0, "down1", SIZE // 16)])
    for i, level in enumerate((up0, down1, levels[2])):
        net.head(net.block(level, f"tower{i}", (WIDTH, WIDTH), 1), f"head{i}")
    return net


def numbers(*values: int) -> dict[str, Any]:
    return {"list": {"i": [str(value) for value in values]}}


def text(value: str) -> dict[str, str]:
    return {"s": base64.b64encode(value.encode()).decode()}
