# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""NanoDet's TensorFlow.js graph computed as it stands, node by node in torch: what the ONNX graph is compared with.

Nothing is left out, folded or reordered here: all 80 classes, channels last where the graph has them last, the one
image size that it was made for. Slow, and independent of `detector_graph`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from export.detector_graph import BINS, CLASSES, PERSON, STRIDES, other_graph
from training.weights.tfjs import Graph, Node

FloatArray = npt.NDArray[np.float32]


def original_outputs(graph: Graph, planes: FloatArray) -> tuple[FloatArray, FloatArray]:
    """What the original says of a normalised image (1 x 3 x S x S, S as the graph wants it): scores, sides.

    scores: A of the person; sides: A x 4 in pixels; A: the cells of strides 8, 16, 32, as `person_graph` orders them.
    Raises BundleError for a graph with other operations or outputs.
    """
    values = _evaluate(graph, torch.from_numpy(planes))
    last = [value[0] for node in graph.nodes if node.op == "Identity" for value in values[node.name]]
    outputs = {(len(value), value.shape[1]): value for value in last if value.ndim == 2}
    scores, sides = [], []
    for stride in STRIDES:
        cells = (planes.shape[2] // stride) * (planes.shape[3] // stride)
        if (cells, CLASSES) not in outputs or (cells, 4 * BINS) not in outputs:
            raise other_graph(graph, f"it gives {[tuple(value.shape) for value in last]}")
        scores.append(outputs[cells, CLASSES][:, PERSON])
        odds = outputs[cells, 4 * BINS].reshape(cells, 4, BINS).softmax(dim=-1)
        sides.append((odds * torch.arange(BINS)).sum(dim=-1) * stride)
    return torch.cat(scores).numpy(), torch.cat(sides).numpy()


def image_size(graph: Graph) -> int:
    """S of the S x S images that the original takes; raises BundleError where it takes something else."""
    inputs = [node for node in graph.nodes if node.op == "Placeholder"]
    sizes = [int(dim["size"]) for node in inputs for dim in node.attributes["shape"]["dim"]]
    if len(sizes) != 4 or sizes[:2] != [1, 3] or sizes[2] != sizes[3] or sizes[2] % STRIDES[-1]:
        raise other_graph(graph, f"it takes an input of {sizes}")
    return sizes[2]


@torch.no_grad()
def _evaluate(graph: Graph, planes: Tensor) -> dict[str, list[Tensor]]:
    """The outputs of all nodes, by node name."""
    values: dict[str, list[Tensor]] = {name: [torch.from_numpy(array)] for name, array in graph.weights.items()}
    waiting = [node for node in graph.nodes if node.name not in values]
    while waiting:
        ready = [node for node in waiting if all(name.split(":")[0] in values for name in node.inputs)]
        if not ready:
            raise other_graph(graph, f"'{waiting[0].name}' stands on something that it lacks")
        for node in ready:
            inputs = [planes] if node.op == "Placeholder" else [_output(values, name) for name in node.inputs]
            values[node.name] = _compute(graph, node, inputs)
        done = {node.name for node in ready}
        waiting = [node for node in waiting if node.name not in done]
    return values


def _output(values: dict[str, list[Tensor]], name: str) -> Tensor:
    node, _, number = name.partition(":")
    return values[node][int(number or 0)]


def _compute(graph: Graph, node: Node, x: list[Tensor]) -> list[Tensor]:
    attributes: dict[str, Any] = node.attributes
    if node.op in ("Placeholder", "Identity"):
        return x[:1]
    if node.op in ("Add", "AddV2"):
        return [x[0] + x[1]]
    if node.op in ("Pad", "PadV2"):
        sides = [int(n) for pair in reversed(x[1].tolist()) for n in pair]
        return [F.pad(x[0], sides, value=float(x[2]) if node.op == "PadV2" else 0.0)]
    if node.op == "Transpose":
        return [x[0].permute(x[1].tolist())]
    if node.op == "Conv2D":
        kernel = x[1].permute(3, 2, 0, 1)
        return [F.conv2d(x[0].permute(0, 3, 1, 2), kernel, stride=attributes["strides"][1:3]).permute(0, 2, 3, 1)]
    if node.op == "MaxPool":
        sizes, steps = attributes["ksize"][1:3], attributes["strides"][1:3]
        return [F.max_pool2d(x[0].permute(0, 3, 1, 2), sizes, steps).permute(0, 2, 3, 1)]
    if node.op == "LeakyRelu":
        return [F.leaky_relu(x[0], attributes["alpha"])]
    if node.op == "ConcatV2":
        return [torch.cat(x[:-1], dim=int(x[-1]))]
    if node.op == "ResizeBilinear":
        size = x[1].tolist()
        return [F.interpolate(x[0].permute(0, 3, 1, 2), size, mode="bilinear").permute(0, 2, 3, 1)]
    if node.op == "SplitV":
        return list(torch.split(x[0], x[1].tolist(), dim=int(x[2])))
    if node.op == "Sigmoid":
        return [torch.sigmoid(x[0])]
    if node.op == "SparseToDense" and x[0].numel() == 0:
        return [x[3].expand(x[1].tolist())]
    if node.op == "Reshape":
        return [x[0].reshape(x[1].tolist())]
    raise other_graph(graph, f"'{node.name}' is a {node.op}")
