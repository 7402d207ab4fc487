# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What exported graphs are held to: operators and types that TensorRT parses, FP16 where it is safe."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import onnx
from onnx import NodeProto, TensorProto

from export.half import element_types, to_half

FLOATS = frozenset({TensorProto.FLOAT, TensorProto.FLOAT16})
NUMBERS = FLOATS | {TensorProto.INT32, TensorProto.INT64}
ALL = NUMBERS | {TensorProto.BOOL}
# docs/operators.md of onnx-tensorrt 10.1 (the oldest that these graphs are meant for is TensorRT 10.3), less the types
# that no graph here has. Only operators that some graph has had; another one must be looked up there first.
TENSORRT = {
    **dict.fromkeys(("Concat", "Expand", "Gather", "GatherElements", "Identity", "Reshape", "Shape", "Slice", "Split",
                     "Squeeze", "Transpose", "Unsqueeze", "Where"), ALL),
    **dict.fromkeys(("Add", "ArgMax", "Div", "Equal", "Gelu", "Greater", "GreaterOrEqual", "Less", "Max", "Min", "Mod",
                     "Abs", "Mul", "Neg", "Pad", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum",
                     "Relu", "Sub"), NUMBERS),
    **dict.fromkeys(("AveragePool", "Clip", "Conv", "ConvTranspose", "Exp", "Floor", "Gemm", "GridSample", "MaxPool",
                     "LayerNormalization", "Log", "MatMul", "Pow", "Reciprocal", "Round", "Sigmoid", "Softmax",
                     "Sqrt"), FLOATS),
    **dict.fromkeys(("And", "Or", "Not"), frozenset({TensorProto.BOOL})),
    "Cast": ALL | {TensorProto.UINT8},
    "Resize": NUMBERS,
}  # fmt: skip
REDUCE = ("ReduceSum", "ReduceL2", "ReduceMax", "ReduceMin", "ReduceMean")
MUST_BE_KNOWN = {
    **dict.fromkeys(REDUCE, 1),
    "Conv": 1,
    "ConvTranspose": 1,
    "Slice": 3,
    "Squeeze": 1,
    "Unsqueeze": 1,
}  # axes, kernels
RESIZE = {
    "mode": {b"nearest", b"linear"},
    "coordinate_transformation_mode": {b"half_pixel", b"pytorch_half_pixel", b"asymmetric", b"align_corners"},
    "nearest_mode": {b"floor", b"ceil", b"round_prefer_floor", b"round_prefer_ceil"},
    "antialias": {0},
}
SAFE_IN_FULL = {"Softmax", "LayerNormalization", "ReduceMean", "ReduceSum", "Exp", "Log", "Pow", "Sqrt", "GridSample"}
PRODUCTS = {"Conv", "ConvTranspose", "MatMul", "Gemm"}


def complaints_of_tensorrt(model: onnx.ModelProto) -> list[str]:
    """Every node that TensorRT's parser would refuse, in words."""
    types = element_types(model)
    constants = {weight.name for weight in model.graph.initializer}
    found = []
    for node in model.graph.node:
        kinds = {types[name] for name in node.input if name}
        allowed = TENSORRT.get(node.op_type)
        if node.domain or allowed is None:
            found.append(f"{node.op_type} is not in the table")
        elif not kinds <= allowed:
            found.append(f"{node.op_type} of {[TensorProto.DataType.Name(kind) for kind in kinds - allowed]}")
        place = MUST_BE_KNOWN.get(node.op_type, 99)
        if len(node.input) > place and node.input[place] not in constants:
            what = "a kernel that is" if node.op_type.startswith("Conv") else "axes that are"
            found.append(f"{node.op_type} with {what} no initializer")
        found += _resize(node)
    return found


def check_bundle(
    encoder: Path, temporal: Path, products: dict[str, int], encoders: dict[str, int] | None = None
) -> None:
    """Both graphs in FP32 and FP16 parse in TensorRT; in FP16 `products` of the temporal graph stay in FP32.

    encoders: those of the encoder.
    """
    for path, full in ((encoder, encoders or {}), (temporal, products)):
        model = onnx.load(path)
        assert complaints_of_tensorrt(model) == [], complaints_of_tensorrt(model)
        half = to_half(model)
        onnx.checker.check_model(half, full_check=True)
        assert complaints_of_tensorrt(half) == []
        assert in_full(half) == full, in_full(half)
        assert [kind for kind in in_half(half) if kind in SAFE_IN_FULL] == []
        for value in (*half.graph.input, *half.graph.output):
            exact = value.name in ("keypoints", "spread", "heatmaps", "moves", "joints")
            expected = "FLOAT" if exact else "UINT8" if value.name == "crops" else "FLOAT16"
            assert TensorProto.DataType.Name(value.type.tensor_type.elem_type) == expected, value.name


def in_half(model: onnx.ModelProto) -> Counter[str]:
    """Operators that make FP16, but for casts."""
    types = element_types(model)
    nodes = [node for node in model.graph.node if node.op_type != "Cast"]
    return Counter(node.op_type for node in nodes if types[node.output[0]] == TensorProto.FLOAT16)


def in_full(model: onnx.ModelProto) -> dict[str, int]:
    """Convolutions and matrix products that run in FP32."""
    types = element_types(model)
    nodes = [node for node in model.graph.node if node.op_type in PRODUCTS]
    return dict(Counter(node.op_type for node in nodes if types[node.output[0]] == TensorProto.FLOAT))


def _resize(node: NodeProto) -> list[str]:
    if node.op_type != "Resize":
        return []
    said = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    bad = [name for name, allowed in RESIZE.items() if name in said and said[name] not in allowed]
    return [f"Resize with {name} {said[name]!r}" for name in bad]
