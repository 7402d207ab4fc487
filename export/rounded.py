# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What a GPU makes of an FP16 graph, computed on the CPU: every value is rounded to FP16 where the graph says so.

ONNX Runtime computes FP16 graphs in FP32 on the CPU and drops most of the roundings between: there, a network whose
values pass FP16's largest number answers as if nothing were wrong, and on a GPU with no numbers at all.
"""

from __future__ import annotations

import numpy as np
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from export.half import element_types
from export.zones import MOVES

FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16


def rounded(model: ModelProto) -> ModelProto:
    """A graph in FP32 that answers as the FP16 graph `model` does where sums are kept in FP32, as GPUs keep them."""
    types = element_types(model)
    made = ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    for weight in graph.initializer:
        _widen(weight)
    for value in (*graph.input, *graph.output):
        if value.type.tensor_type.elem_type == HALF:
            value.type.tensor_type.elem_type = FLOAT
    nodes: list[NodeProto] = []
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == AttributeProto.TENSOR:
                _widen(attribute.t)
        nodes += _rounded(node, types)
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)
    return made


def _rounded(node: NodeProto, types: dict[str, int]) -> list[NodeProto]:
    name = node.output[0]
    if types[name] != HALF:
        widening = node.op_type == "Cast" and types[node.input[0]] == HALF
        return [helper.make_node("Identity", node.input, node.output)] if widening else [node]
    if node.op_type in MOVES:
        return [node]
    if node.op_type == "Cast":
        source = node.input[0]
        before = []
    else:
        source = f"exact {name}"
        node.output[0] = source
        before = [node]
    narrow = helper.make_node("Cast", [source], [f"narrow {name}"], to=HALF)
    return [*before, narrow, helper.make_node("Cast", [f"narrow {name}"], [name], to=FLOAT)]


def _widen(tensor: TensorProto) -> None:
    if tensor.data_type == HALF:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name))
