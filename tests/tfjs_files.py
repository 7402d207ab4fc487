# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""TensorFlow.js graph models written for tests: any nodes and weights, or a whole MoveNet under its published names."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from training.models.movenet import MoveNet

HEADS = (("heatmap", "kpt_heatmap", 4, 5), ("centre", "center", 3, 4), ("regression", "kpt_regress", 5, 6),
         ("offset", "kpt_offset", 6, 7))  # fmt: skip


def text(*words: str) -> list[str]:
    """Bytes as a GraphDef in JSON has them."""
    return [base64.b64encode(word.encode()).decode() for word in words]


def write_graph(folder: Path, name: str, nodes: list[dict[str, Any]], weights: dict[str, Any]) -> Path:
    """`name`.json and `name`.bin; weights: arrays, or (stored array, its entry in the manifest) as they are."""
    entries, data = [], b""
    for key, value in weights.items():
        stored, entry = value if isinstance(value, tuple) else (value, {"dtype": str(value.dtype)})
        entries.append({"name": key, "shape": list(stored.shape), **entry})
        data += stored.tobytes()
    nodes = [{"name": key, "op": "Const"} for key in weights] + nodes
    content = {
        "format": "graph-model", "generatedBy": "a test", "modelTopology": {"node": nodes},
        "weightsManifest": [{"paths": [f"{name}.bin"], "weights": entries}],
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.bin").write_bytes(data)
    (folder / f"{name}.json").write_text(json.dumps(content))
    return folder / f"{name}.json"


def half(array: np.ndarray) -> tuple[np.ndarray, dict[str, Any]]:
    """A float32 weight kept in half precision."""
    entry = {"dtype": "float32", "quantization": {"dtype": "float16", "original_dtype": "float32"}}
    return array.astype(np.float16), entry


def write_movenet(folder: Path, network: MoveNet, name: str = "movenet-lightning", side: int = 192) -> Path:
    """A MoveNet's weights in half precision, under the names of the published graph."""
    nodes, weights = [], {}
    for ours, theirs in _names(network).items():
        module = network.get_submodule(ours)
        assert isinstance(module, nn.Conv2d)
        depthwise = module.groups > 1
        kernel = module.weight.detach().numpy().transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))
        weights[theirs] = half(kernel)
        node = {"name": theirs + "/made", "op": "FusedDepthwiseConv2dNative" if depthwise else "_FusedConv2D"}
        node["input"] = ["before", theirs]
        attributes: dict[str, Any] = {
            "strides": {"list": {"i": [str(i) for i in (1, *module.stride, 1)]}},
            "padding": {"s": text("SAME")[0]},
        }
        if module.bias is not None:
            weights[theirs + "_bias"] = half(module.bias.detach().numpy())
            node["input"].append(theirs + "_bias")
            attributes["fused_ops"] = {"list": {"s": text("BiasAdd")}}
        nodes.append(node | {"attr": attributes})
    weights["ConstantFolding/StatefulPartitionedCall/truediv_2_recip"] = half(np.zeros((side // 4, side // 4, 1)))
    return write_graph(folder, name, nodes, weights)


def _names(network: MoveNet) -> dict[str, str]:
    """Our module -> the name of its weight in the published graph."""
    root = "StatefulPartitionedCall/center_net/extractor/model_1"
    names = {"stem": f"{root}/model/Conv1/Conv2D_weights", "last": f"{root}/model/Conv_1/Conv2D_weights"}
    for i in range(len(network.blocks)):
        block = f"{root}/model/expanded_conv_" if i == 0 else f"{root}/model/block_{i}_"
        parts = {"depthwise": "depthwise/depthwise_weights", "project": "project/Conv2D_weights"}
        parts |= {"expand": "expand/Conv2D_weights"} if i else {}
        names |= {f"blocks.{i}.{part}": block + end for part, end in parts.items()}
    names["top"] = f"{root}/conv2d/Conv2D/ReadVariableOp"
    for i, layer in enumerate(("", "_1", "_2")):
        names[f"laterals.{2 - i}"] = f"{root}/conv2d_{i + 1}/Conv2D/ReadVariableOp"
        names[f"smooth.{2 - i}.depthwise"] = f"{root}/separable_conv2d{layer}/separable_conv2d/ReadVariableOp"
        names[f"smooth.{2 - i}.pointwise"] = f"{root}/separable_conv2d{layer}/separable_conv2d_weights"
    for ours, theirs, separable, last in HEADS:
        head = f"StatefulPartitionedCall/{theirs}_0"
        names[f"{ours}_head.0.depthwise"] = f"{head}/separable_conv2d_{separable}/separable_conv2d/ReadVariableOp"
        names[f"{ours}_head.0.pointwise"] = f"{head}/separable_conv2d_{separable}/separable_conv2d/ReadVariableOp_1"
        names[f"{ours}_head.1"] = f"{head}/conv2d_{last}/Conv2D/ReadVariableOp"
    return names
