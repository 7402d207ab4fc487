# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A bundle whose network is arithmetic: its poses say which frames, in which crops, entered the window.

Encoder: average-pools every crop to a 2 x 2 grid of its colours, tokens 4 x 3. Temporal graph: joint k of the pose is
(blue, green) of the window's frame k % T, averaged over the crop, and red / 255 as its score; covariance and heatmaps
are constant, the latter with one peak.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from sdtc_ros.models.bundle import Bundle, write_manifest
from sdtc_ros.skeleton import POSETRACK

COVARIANCE = (4.0, 1.0, 9.0)
TINY_BUNDLE = Path(__file__).parent / "bundles" / "sdtc-tiny"  # a real network in all precisions, for tests alone


def make_bundle(
    folder: Path,
    delta: int = 2,
    size: tuple[int, int] = (24, 32),
    skeleton: str = "posetrack",
    moves: bool = False,
) -> Bundle:
    """Write the bundle to `folder` (made where it is missing) and load it; moves: its temporal graph takes them."""
    folder.mkdir(parents=True, exist_ok=True)
    _save(folder / "encoder.onnx", *_encoder(size))
    _save(folder / "temporal.onnx", *_temporal(2 * delta + 1, len(POSETRACK), moves))
    return write_manifest(
        folder, name="fake", skeleton=skeleton, input_size=size, delta=delta, tokens={"tokens": (4, 3)},
        mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), moves=moves,
    )  # fmt: skip


def _encoder(size: tuple[int, int]) -> tuple[list, list, list, dict]:
    width, height = size
    nodes = [
        helper.make_node("Cast", ["crops"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["real"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node(
            "AveragePool", ["planes"], ["grid"], kernel_shape=[height // 2, width // 2],
            strides=[height // 2, width // 2],
        ),
        helper.make_node("Reshape", ["grid", "flat"], ["rows"]),
        helper.make_node("Transpose", ["rows"], ["tokens"], perm=[0, 2, 1]),
    ]  # fmt: skip
    inputs = [helper.make_tensor_value_info("crops", TensorProto.UINT8, ["n", height, width, 3])]
    outputs = [helper.make_tensor_value_info("tokens", TensorProto.FLOAT, ["n", 4, 3])]
    return nodes, inputs, outputs, {"flat": np.array([0, 3, 4], np.int64)}


def _temporal(frames: int, joints: int, moves: bool) -> tuple[list, list, list, dict]:
    nodes = [
        helper.make_node("ReduceMean", ["tokens", "axis"], ["colours"], keepdims=0),
        helper.make_node("Gather", ["colours", "frame_of_joint"], ["chosen"], axis=1),
        helper.make_node("Mul", ["chosen", "scale"], ["own" if moves else "keypoints"]),
        helper.make_node("Mul", ["chosen", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "covariance_values"], ["spread"]),
        helper.make_node("Unsqueeze", ["nothing", "axis"], ["rows"]),  # N x K x 1 x 3
        helper.make_node("Add", ["rows", "one_peak"], ["heatmaps"]),
    ]
    inputs = [helper.make_tensor_value_info("tokens", TensorProto.FLOAT, ["n", frames, 4, 3])]
    if moves:
        inputs.append(helper.make_tensor_value_info("moves", TensorProto.FLOAT, ["n", frames, 4]))
        nodes += [
            helper.make_node("Gather", ["moves", "frame_of_joint"], ["move"], axis=1),
            helper.make_node("Split", ["move"], ["scale_by", "shift_by"], axis=2, num_outputs=2),
            helper.make_node("Pad", ["scale_by", "one_behind", "one"], ["scales"]),
            helper.make_node("Pad", ["shift_by", "one_behind"], ["shifts"]),
            helper.make_node("Mul", ["own", "scales"], ["scaled"]),
            helper.make_node("Add", ["scaled", "shifts"], ["keypoints"]),
        ]
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", joints, 3]) for name in ("keypoints", "spread")
    ]
    outputs.append(helper.make_tensor_value_info("heatmaps", TensorProto.FLOAT, ["n", joints, 4, 3]))
    constants = {
        "axis": np.array([2], np.int64),
        "frame_of_joint": (np.arange(joints) % frames).astype(np.int64),
        "scale": np.array([1, 1, 1 / 255], np.float32),
        "zero": np.zeros(1, np.float32),
        **({"one_behind": np.array([0, 0, 0, 0, 0, 1], np.int64), "one": np.float32(1)} if moves else {}),
        "covariance_values": np.array(COVARIANCE, np.float32),
        "one_peak": np.eye(4, 3, dtype=np.float32)[::-1] * (np.arange(4, dtype=np.float32)[:, None] == 2),
    }
    return nodes, inputs, outputs, constants


def _save(path: Path, nodes: list, inputs: list, outputs: list, constants: dict[str, np.ndarray]) -> None:
    initializers = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, path.stem, inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
