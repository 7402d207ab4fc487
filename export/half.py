# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Typed FP16 graphs from FP32 ones: every tensor's type is written in the graph, as strongly typed TensorRT wants it.

What costs time runs in FP16; in FP32 run the operators that lose most by it (LayerNormalization, softmax, sums,
exponentials), the normalisation of the pixels, the last convolution of the head and all decoding after it, the joints'
places in each frame, and those at which a deformable convolution reads. Not onnxruntime.transformers.float16, which was
tried: it knows no zones, only operators and node names, it lifts tiny weights up to the smallest FP16 number instead of
rounding them, and it appends its casts behind the nodes that need them, which is no valid ONNX until they are sorted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np
import onnx
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from export.zones import HEATMAPS, PLACES, around, decoding, pixels, places, reading_places
from sdtc_ros.engine.base import MOVES
from sdtc_ros.errors import BundleError

FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16
# Inputs and outputs that stay FP32; the encoder's other outputs, and the windows of them, become FP16.
POSES = ("keypoints", HEATMAPS, "spread")
FULL_INPUTS, FULL_OUTPUTS = (MOVES, PLACES), (*POSES, PLACES)
# In FP32 wherever they stand; Cast, ConstantOfShape and Range because they may make indices, which FP16 cannot count.
PRECISE = {
    "LayerNormalization", "InstanceNormalization", "GroupNormalization", "BatchNormalization", "Softmax", "LogSoftmax",
    "ReduceMean", "ReduceSum", "ReduceL2", "ReduceSumSquare", "ReduceLogSumExp", "GlobalAveragePool", "CumSum",
    "Exp", "Log", "Pow", "Sqrt", "Reciprocal", "GridSample", "Cast", "ConstantOfShape", "Range",
}  # fmt: skip
ALWAYS_FLOAT = {"Resize": (1, 2)}  # inputs (roi, scales) that stay FP32 beside FP16 data
LARGEST = float(np.finfo(np.float16).max)


def to_half(model: ModelProto, hot: Collection[str] = ()) -> ModelProto:
    """The same graph in FP16; `model` (FP32, weights loaded) stays as it is.

    hot: values too large for FP16 (export.ranges); what makes and reads them stays in FP32. Floating-point inputs and
    outputs become FP16 but for moves, PLACES and POSES. Raises BundleError for a graph with subgraphs or floating-point
    types but FP32.
    """
    types = element_types(model)
    _refuse_strangers(model.graph, types)
    result = _Typing(model.graph, types, _precise_nodes(model.graph) | around(model.graph, set(hot))).rewrite()
    made = helper.make_model(
        result, opset_imports=model.opset_import, ir_version=model.ir_version, producer_name="sdtc_ros"
    )
    element_types(made)  # in strict mode: a graph whose types do not fit ends here
    return made


class _Typing:
    """One pass over the nodes in their order; casts are made where a value is first needed in the other type."""

    def __init__(self, graph: GraphProto, types: dict[str, int], precise: set[int]) -> None:
        self.graph, self.precise = graph, precise
        self.real = {name for name, kind in types.items() if kind == FLOAT}
        self.weights = {weight.name: weight for weight in graph.initializer}
        self.now: dict[str, int] = {}  # value -> its type in the new graph
        self.nodes: list[NodeProto] = []
        self.made: dict[tuple[str, int], str] = {}  # (value or weight, type) -> the name under which it is there
        self.new_weights: list[TensorProto] = []

    def rewrite(self) -> GraphProto:
        """The typed graph."""
        inputs = [self._retyped(value, FLOAT if value.name in FULL_INPUTS else HALF) for value in self.graph.input]
        self.now.update((v.name, v.type.tensor_type.elem_type) for v in inputs if v.name in self.real)
        outputs = [self._retyped(value, FLOAT if value.name in FULL_OUTPUTS else HALF) for value in self.graph.output]
        wanted = {value.name: value.type.tensor_type.elem_type for value in outputs if value.name in self.real}
        for index, node in enumerate(self.graph.node):
            self._convert(node, FLOAT if index in self.precise else HALF, wanted)
        return helper.make_graph(self.nodes, self.graph.name, inputs, outputs, self.new_weights)

    def _convert(self, old: NodeProto, kind: int, wanted: dict[str, int]) -> None:
        node = NodeProto()
        node.CopyFrom(old)
        fixed = ALWAYS_FLOAT.get(node.op_type, ())
        for place, name in enumerate(old.input):
            if name in self.weights and name not in self.real:
                self._keep(name)
            elif name in self.real:
                node.input[place] = self._as(name, FLOAT if place in fixed else kind)
        if kind == HALF:
            _halve_attributes(node)
        later = []
        for place, name in enumerate(old.output):
            if name in self.real:
                self.now[name] = kind
            if wanted.get(name, kind) != kind:  # an output of the graph in the other type: cast under its own name
                node.output[place] = f"{name}_{_WORDS[kind]}"
                later.append(_cast(node.output[place], name, wanted[name]))
                self.made[name, kind] = node.output[place]
                self.now[name] = wanted[name]
        self.nodes += [node, *later]

    def _as(self, name: str, kind: int) -> str:
        """The name under which the value is there in type `kind`, made if it is not."""
        if self.now.get(name) == kind:
            return name
        if (name, kind) not in self.made:
            if name in self.weights:
                self.made[name, kind] = self._weight(name, kind)
            else:
                self.made[name, kind] = f"{name}_{_WORDS[kind]}"
                self.nodes.append(_cast(name, self.made[name, kind], kind))
        return self.made[name, kind]

    def _weight(self, name: str, kind: int) -> str:
        if kind == FLOAT:
            self._keep(name)
            return name
        self.new_weights.append(
            numpy_helper.from_array(half(numpy_helper.to_array(self.weights[name])), f"{name}_half")
        )
        return f"{name}_half"

    def _keep(self, name: str) -> None:
        if (name, 0) not in self.made:
            self.made[name, 0] = name
            self.new_weights.append(self.weights[name])

    def _retyped(self, value: onnx.ValueInfoProto, kind: int) -> onnx.ValueInfoProto:
        new = onnx.ValueInfoProto()
        new.CopyFrom(value)
        if value.name in self.real:
            new.type.tensor_type.elem_type = kind
        return new


_WORDS: dict[int, str] = {FLOAT: "full", HALF: "half"}


def half(values: np.ndarray) -> np.ndarray:
    """Rounded to the nearest FP16 number; what lies beyond the largest becomes the largest, infinities stay."""
    limited = np.clip(values, -LARGEST, LARGEST)
    return np.where(np.isinf(values), values, limited).astype(np.float16)


def _cast(source: str, target: str, kind: int) -> NodeProto:
    return helper.make_node("Cast", [source], [target], name=f"cast_{target}", to=kind)


def _halve_attributes(node: NodeProto) -> None:
    """Constants of FP32 inside a node that makes FP16."""
    for attribute in node.attribute:
        if attribute.type == AttributeProto.TENSOR and attribute.t.data_type == FLOAT:
            attribute.t.CopyFrom(numpy_helper.from_array(half(numpy_helper.to_array(attribute.t)), attribute.t.name))


def _precise_nodes(graph: GraphProto) -> set[int]:
    """Numbers of the nodes that run in FP32."""
    alone = {i for i, node in enumerate(graph.node) if node.op_type in PRECISE or _too_large(graph, node)}
    return alone | decoding(graph) | places(graph) | reading_places(graph) | pixels(graph)


def _too_large(graph: GraphProto, node: NodeProto) -> bool:
    """Whether one of its weights cannot be said in FP16."""
    return any(
        weight.data_type == FLOAT and weight.name in node.input and _beyond(numpy_helper.to_array(weight))
        for weight in graph.initializer
    )


def _beyond(values: np.ndarray) -> bool:
    finite = values[np.isfinite(values)]
    return bool(finite.size and np.abs(finite).max() > LARGEST)


def element_types(model: ModelProto) -> dict[str, int]:
    """The element type of every value and weight, inferred; raises onnx's InferenceError where types do not fit."""
    graph = GraphProto(name=model.graph.name, input=model.graph.input, output=model.graph.output, node=model.graph.node)
    for weight in model.graph.initializer:  # large ones without their content: protobuf ends at 2 GiB
        small = weight.ByteSize() < 4096
        graph.initializer.append(
            weight if small else TensorProto(name=weight.name, dims=weight.dims, data_type=weight.data_type)
        )
    light = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    typed = onnx.shape_inference.infer_shapes(light, check_type=True, strict_mode=True, data_prop=True).graph
    types = {weight.name: weight.data_type for weight in typed.initializer}
    for value in (*typed.input, *typed.output, *typed.value_info):
        types[value.name] = value.type.tensor_type.elem_type
    return types


def _refuse_strangers(graph: GraphProto, types: dict[str, int]) -> None:
    odd = {TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16}
    if odd.intersection(types.values()):
        raise BundleError("FP16 graphs are made from FP32 graphs only: export the bundle again")
    for node in graph.node:
        if any(attribute.type in (AttributeProto.GRAPH, AttributeProto.GRAPHS) for attribute in node.attribute):
            raise BundleError(f"a graph with the operator {node.op_type} (control flow) cannot be made FP16")
    unknown = [name for name in _made(graph) if name not in types]
    if unknown:
        raise BundleError(f"the type of {unknown[0]} in the graph is not known: export the bundle again")


def _made(graph: GraphProto) -> Iterator[str]:
    return (name for node in graph.node for name in node.output if name)
