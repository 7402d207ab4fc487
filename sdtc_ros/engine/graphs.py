# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The graphs that a device engine runs beside the bundle's encoder, made with the `onnx` package.

`cut_graph` crops a frame that lies in device memory, `pooled_graph` lets the temporal graph gather its
windows from a pool of tokens by index: neither pixels nor tokens need to pass through host memory again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sdtc_ros.engine.base import MOVES, OUTPUTS
from sdtc_ros.engine.failures import first_line
from sdtc_ros.engine.ort.session import compare_names
from sdtc_ros.errors import BundleError, UsageError
from sdtc_ros.models.bundle import Bundle

if TYPE_CHECKING:
    import onnx

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

INDEX = "index"
STORED = "_stored"  # how the names end of weights stored in half precision, which a Cast makes FP32 (export.stored)
FLOATS = ("FLOAT", "FLOAT16")  # ONNX's words
Described = Mapping[str, tuple[tuple[int, ...], tuple[str, ...]]]  # by name: shape without the batch, element types

# Bilinear, zero outside the image, as crops.crop_images. Gather and not RoiAlign or GridSample: those clamp at the
# border or want one copy of the frame a crop. Pixels become float16 (exact for 0..255): TensorRT gathers no uint8.
_CUT = """
<ir_version: 8, opset_import: ["": 17]>
cut (uint8[p, 3] pixels, int64[2] size, int64[n, {width}] x_32, int64[n, {height}] y_32)
=> (uint8[n, {height}, {width}, 3] crops)
<
  int64[1] zero = {{0}}, int64[1] one = {{1}}, int64[1] first = {{0}}, int64[1] second = {{1}},
  float[1] whole = {{1.0}}, float[1] half = {{0.5}}, float[1] grid = {{32.0}},
  int64[1] axis1 = {{1}}, int64[1] axis2 = {{2}}, int64[1] axis3 = {{3}}
>
{{
  rows = Gather <axis = 0> (size, first)
  columns = Gather <axis = 0> (size, second)
{along_x}
{along_y}
  x0_3 = Unsqueeze (x0, axis1)
  x1_3 = Unsqueeze (x1, axis1)
  y0_3 = Unsqueeze (y0, axis2)
  y1_3 = Unsqueeze (y1, axis2)
  row0 = Mul (y0_3, columns)
  row1 = Mul (y1_3, columns)
  wx0 = Unsqueeze (x_weight0, axis1)
  wx1 = Unsqueeze (x_weight1, axis1)
  wy0 = Unsqueeze (y_weight0, axis2)
  wy1 = Unsqueeze (y_weight1, axis2)
  light = Cast <to = 10> (pixels)
{corners}
  upper = Add (part00, part01)
  lower = Add (part10, part11)
  sum = Add (upper, lower)
  raised = Add (sum, half)
  rounded = Floor (raised)
  crops = Cast <to = 2> (rounded)
}}
"""

# Along one axis: the two pixels beside every coordinate and their weights, which are 0 outside the image.
_AXIS = """
  {a}_exact = Cast <to = 1> ({a}_32)
  {a} = Div ({a}_exact, grid)
  {a}_floor = Floor ({a})
  {a}_weight = Sub ({a}, {a}_floor)
  {a}_rest = Sub (whole, {a}_weight)
  {a}_near = Cast <to = 7> ({a}_floor)
  {a}_far = Add ({a}_near, one)
  {a}_last = Sub ({length}, one)
  {a}0_least = Max ({a}_near, zero)
  {a}0 = Min ({a}0_least, {a}_last)
  {a}1_least = Max ({a}_far, zero)
  {a}1 = Min ({a}1_least, {a}_last)
  {a}_inside0 = Equal ({a}0, {a}_near)
  {a}_inside1 = Equal ({a}1, {a}_far)
  {a}_mask0 = Cast <to = 1> ({a}_inside0)
  {a}_mask1 = Cast <to = 1> ({a}_inside1)
  {a}_weight0 = Mul ({a}_rest, {a}_mask0)
  {a}_weight1 = Mul ({a}_weight, {a}_mask1)
"""

_CORNER = """
  place{y}{x} = Add (row{y}, x{x}_3)
  seen{y}{x} = Gather <axis = 0> (light, place{y}{x})
  exact{y}{x} = Cast <to = 1> (seen{y}{x})
  both{y}{x} = Mul (wy{y}, wx{x})
  weight{y}{x} = Unsqueeze (both{y}{x}, axis3)
  part{y}{x} = Mul (exact{y}{x}, weight{y}{x})
"""


def need_onnx(provider: str) -> None:
    """Raise UsageError, saying what to do, where the `onnx` package cannot be imported."""
    try:
        import onnx.parser  # noqa: F401
    except ImportError:
        raise UsageError(f"provider '{provider}' needs the package onnx: pip install 'onnx>=1.17'") from None


def check_graphs(bundle: Bundle, precision: str) -> None:
    """Raise BundleError unless the graphs' names, types and shapes are those that model.json and the engine go by.

    A device engine gives its runtime addresses: what is larger there than described would be written beyond them.
    """
    (width, height), joints = bundle.input_size, len(bundle.skeleton)
    encoder, temporal = bundle.graphs(precision)
    frames = 2 * bundle.delta + 1
    tokens: Described = {name: (tuple(shape), FLOATS) for name, shape in bundle.tokens.items()}
    windows = {name: ((frames, *shape), types) for name, (shape, types) in tokens.items()}
    if bundle.moves:
        windows[MOVES] = ((frames, 4), FLOATS[:1])
    _check(encoder, {"crops": ((height, width, 3), ("UINT8",))}, tokens)
    _check(temporal, windows, dict.fromkeys(OUTPUTS, ((joints, 3), FLOATS[:1])))


def _check(path: Path, inputs: Described, outputs: Described) -> None:
    import onnx

    graph = _load(path, weights=False).graph
    constants = {tensor.name for tensor in graph.initializer}
    takes = {value.name: value for value in graph.input if value.name not in constants}
    gives = {value.name: value for value in graph.output}
    compare_names(path, list(takes), list(gives), list(inputs), list(outputs))
    for has, wanted in ((takes, inputs), (gives, outputs)):
        for name, (shape, types) in wanted.items():
            kind = has[name].type.tensor_type
            element = onnx.TensorProto.DataType.Name(kind.elem_type)
            if element not in types:
                raise BundleError(f"'{path}': '{name}' is of {element}, but must be of {' or '.join(types)}")
            found = [_dimension(d) for d in kind.shape.dim]
            fits = len(found) == 1 + len(shape) and all(
                isinstance(size, str) or size in (0, one) for size, one in zip(found[1:], shape, strict=True)
            )
            if found and not fits:
                raise BundleError(f"'{path}': '{name}' is of shape {found}, but model.json says {['n', *shape]}")


def _load(path: Path, weights: bool = True) -> onnx.ModelProto:
    """An ONNX file, its external weights too if `weights`; raises BundleError where it is none."""
    import onnx

    try:
        return onnx.load(str(path), load_external_data=weights)
    except Exception as error:  # protobuf's own, the file system's, onnx's
        raise BundleError(f"'{path}' is not a readable ONNX graph: {first_line(error)}") from None


def plain_graph(path: Path) -> bytes:
    """An ONNX file's bytes; weights stored in half precision made FP32: TensorRT wants no Cast before them."""
    model = _load(path, weights=False)
    return bytes(model.SerializeToString()) if restore_weights(model) else path.read_bytes()


def restore_weights(model: onnx.ModelProto) -> bool:
    """Make weights that are stored in half precision FP32 ones again, in place; whether there were any."""
    from onnx import TensorProto, numpy_helper

    halves = {w.name for w in model.graph.initializer if w.data_type == TensorProto.FLOAT16 and w.name.endswith(STORED)}
    restored = {node.input[0]: node.output[0] for node in model.graph.node if _restores(node, halves)}
    weights = [
        numpy_helper.from_array(numpy_helper.to_array(weight).astype(np.float32), restored[weight.name])
        if weight.name in restored
        else weight
        for weight in model.graph.initializer
    ]
    replace_graph(model, weights, [node for node in model.graph.node if not _restores(node, halves)])
    return bool(restored)


def _restores(node: onnx.NodeProto, halves: set[str]) -> bool:
    """Whether a node casts a weight stored in half precision, and nothing else."""
    return node.op_type == "Cast" and node.input[0] in halves


def replace_graph(model: onnx.ModelProto, weights: list[onnx.TensorProto], nodes: list[onnx.NodeProto]) -> None:
    """Give a graph other weights and nodes, in place."""
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(weights)
    model.graph.node.extend(nodes)


def cut_graph(size: tuple[int, int]) -> bytes:
    """The graph that cuts crops of `size` (width, height) out of one frame.

    pixels P x 3 uint8 (the frame's rows one after the other), size int64 (height, width of the frame), x_32 and y_32
    as `cut_grid` gives them -> crops N x height x width x 3 uint8, to the bit those of `crops.crop_images`.
    """
    import onnx.parser

    width, height = size
    text = _CUT.format(
        width=width, height=height,
        along_x=_AXIS.format(a="x", length="columns"), along_y=_AXIS.format(a="y", length="rows"),
        corners="".join(_CORNER.format(y=y, x=x) for y in (0, 1) for x in (0, 1)),
    )  # fmt: skip
    model = onnx.parser.parse_model(text)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def cut_grid(boxes: FloatArray, size: tuple[int, int]) -> tuple[IntArray, IntArray]:
    """Where N crops of `size` (width, height) look into the image: columns N x width, rows N x height, in 1/32 pixel.

    boxes: N x 4 xywh, image pixels. Grid and rounding are those of OpenCV's fixed-point warpAffine, which rounds a
    column's two terms one by one to 1/1024 pixel and a row's together.
    """
    width, height = size
    x, y, w, h = np.asarray(boxes, np.float64).reshape(-1, 4, 1).transpose(1, 0, 2)
    columns = np.rint(x * 1024) + np.rint(w / (width - 1) * np.arange(width) * 1024)
    rows = np.rint((h / (height - 1) * np.arange(height) + y) * 1024)
    return (columns.astype(np.int64) + 16) >> 5, (rows.astype(np.int64) + 16) >> 5


def pooled_graph(path: Path, tokens: Collection[str]) -> bytes:
    """A bundle's temporal graph with a Gather before each of its inputs, the tensors named in `tokens`.

    Its inputs are `pool_<name>` (slots x ...), `index` int64 (N x T, slots in time order) and the graph's others; its
    outputs are the same.
    """
    import onnx
    from onnx import TensorProto, helper

    model = _load(path)
    restore_weights(model)
    graph = model.graph
    inputs = {value.name: value for value in graph.input}
    gathers, pools = [], []
    for name in tokens:
        shape = [_dimension(d) for d in inputs[name].type.tensor_type.shape.dim]
        pools.append(helper.make_tensor_value_info(pool_name(name), _element(inputs[name]), ["slots", *shape[2:]]))
        gathers.append(helper.make_node("Gather", [pool_name(name), INDEX], [name], axis=0))
    index = helper.make_tensor_value_info(INDEX, TensorProto.INT64, shape[:2])
    nodes = [*gathers, *graph.node]
    others = [onnx.ValueInfoProto.FromString(v.SerializeToString()) for name, v in inputs.items() if name not in tokens]
    del graph.node[:], graph.input[:]
    graph.node.extend(nodes)
    graph.input.extend([*pools, index, *others])
    return bytes(model.SerializeToString())


def identity_graph(element: str) -> bytes:
    """A graph that copies its input `source` (any length, element type in ONNX's words) to its output `target`."""
    import onnx.parser

    text = f'<ir_version: 8, opset_import: ["": 17]> copy ({element}[n] source) => ({element}[n] target) '
    return bytes(onnx.parser.parse_model(text + "{ target = Identity (source) }").SerializeToString())


def pool_name(token: str) -> str:
    """The pooled graph's input for the tensor `token`."""
    return f"pool_{token}"


def _dimension(dimension: onnx.TensorShapeProto.Dimension) -> int | str:
    return dimension.dim_param or dimension.dim_value


def _element(value: onnx.ValueInfoProto) -> int:
    return value.type.tensor_type.elem_type
