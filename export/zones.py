# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Parts of a graph that other precisions leave in FP32, as numbers of its nodes."""

from __future__ import annotations

from collections.abc import Iterable

from onnx import GraphProto, NodeProto, TensorProto

from sdtc_ros.engine.base import MOVES as CROP_MOVES

HEATMAPS = "heatmaps"
PLACES = "joints"  # what sdtc_movenet's encoder hands on of them: columns and rows of the heatmaps, and scores
STANDARDISED = {"LayerNormalization", "Softmax", "Sigmoid"}
MOVES = {
    "Reshape", "Transpose", "Slice", "Squeeze", "Unsqueeze", "Concat", "Gather", "Expand", "Identity", "Split", "Relu",
}  # fmt: skip
WEIGHTED = {"Conv", "ConvTranspose", "MatMul", "Gemm"}  # where a network's time goes


def decoding(graph: GraphProto) -> set[int]:
    """From the head's last convolution, which decides where a maximum lies, to keypoints and covariance."""
    if HEATMAPS not in [value.name for value in graph.output]:
        return set()
    nodes = list(graph.node)
    return _above(nodes, [HEATMAPS], last=True) | _below(nodes, [HEATMAPS], stop=set())


def places(graph: GraphProto) -> set[int]:
    """What makes PLACES, from the last layers with weights on; and what is computed with them and the crops' moves."""
    nodes = list(graph.node)
    made = [value.name for value in graph.output if value.name == PLACES]
    taken = [value.name for value in graph.input if value.name in (PLACES, CROP_MOVES)]
    return _above(nodes, made, last=True) | _below(nodes, taken, stop=WEIGHTED)


def reading_places(graph: GraphProto) -> set[int]:
    """What computes the places at which GridSample reads: FP16 knows cells beyond the 64th to 1/16 only."""
    nodes = list(graph.node)
    return _above(nodes, [node.input[1] for node in nodes if node.op_type == "GridSample"], last=False)


def pixels(graph: GraphProto) -> set[int]:
    """What is done to the pixels before the first layer."""
    names = [value.name for value in graph.input if value.type.tensor_type.elem_type == TensorProto.UINT8]
    return _below(list(graph.node), names, stop=WEIGHTED)


def around(graph: GraphProto, values: set[str]) -> set[int]:
    """What reads `values`, and what makes them, from the last layers with weights, norms and softmaxes before on."""
    nodes = list(graph.node)
    hot, found = set(values), set()
    for index, node in enumerate(nodes):
        if hot.intersection(node.input):
            found.add(index)
            hot.update(node.output if node.op_type in MOVES else ())  # as large as what it moves
    weights = {weight.name for weight in graph.initializer}
    maker = {name: index for index, node in enumerate(nodes) for name in node.output}
    makers = [maker[name] for name in values]
    found.update(makers)
    waiting = [index for index in makers if not _is_fresh(nodes[index], weights)]
    while waiting:
        above = {maker[name] for name in nodes[waiting.pop()].input if name in maker}
        new = [index for index in above - found if not _is_fresh(nodes[index], weights)]
        found.update(new)
        waiting += new
    return found


def _is_fresh(node: NodeProto, weights: set[str]) -> bool:
    """Whether rounding what goes into a node says little about what comes out of it."""
    return node.op_type in STANDARDISED or (node.op_type in WEIGHTED and bool(weights.intersection(node.input)))


def _above(nodes: list[NodeProto], values: Iterable[str], last: bool) -> set[int]:
    """The nodes that make `values`, up to the next ones with weights; `last`: these as well."""
    maker = {name: index for index, node in enumerate(nodes) for name in node.output}
    found: set[int] = set()
    waiting = [maker[name] for name in values if name in maker]
    while waiting:
        index = waiting.pop()
        weighted = nodes[index].op_type in WEIGHTED
        if index in found or (weighted and not last):
            continue
        found.add(index)
        if not weighted:
            waiting += [maker[name] for name in nodes[index].input if name in maker]
    return found


def _below(nodes: list[NodeProto], values: Iterable[str], stop: set[str]) -> set[int]:
    """The nodes that depend on `values`, up to those whose operator is in `stop`."""
    reached, found = set(values), set()
    for index, node in enumerate(nodes):
        if node.op_type not in stop and reached.intersection(node.input):
            found.add(index)
            reached.update(node.output)
    return found
