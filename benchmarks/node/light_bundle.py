# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A bundle whose inference costs next to nothing, with crops of the usual size: what is left is the node's own cost.

Encoder: the mean colour of every crop. Temporal graph: joints on a grid over the crop, of the colour's confidence.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sdtc_ros.errors import UsageError
from sdtc_ros.models.bundle import Bundle, write_manifest
from sdtc_ros.skeleton import POSETRACK

SIZE, DELTA, OPSET, IR = (192, 256), 2, 18, 9


def write_light_bundle(folder: Path) -> Bundle:
    """Write it to `folder` and load it; raises UsageError where the package onnx is missing."""
    try:
        import onnx
        from onnx import TensorProto, helper, numpy_helper
    except ImportError as error:
        raise UsageError(f"the bundle whose inference is free is written with the extra [export] ({error})") from None
    width, height = SIZE
    joints, frames = len(POSETRACK), 2 * DELTA + 1

    def save(name: str, nodes: list[Any], given: Any, made: list[Any], constants: dict[str, Any]) -> None:
        initializers = [numpy_helper.from_array(value, key) for key, value in constants.items()]
        graph = helper.make_graph(nodes, name, [given], made, initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
        onnx.checker.check_model(model)
        onnx.save(model, str(folder / name))

    folder.mkdir(parents=True, exist_ok=True)
    value, real = helper.make_tensor_value_info, TensorProto.FLOAT
    save(
        "encoder.onnx",
        [
            helper.make_node("Slice", ["crops", "first", "beyond", "axes"], ["corner"]),  # a few pixels stand for all
            helper.make_node("Cast", ["corner"], ["colours"], to=real),
            helper.make_node("ReduceMean", ["colours", "middle"], ["tokens"], keepdims=0),
        ],
        value("crops", TensorProto.UINT8, ["n", height, width, 3]), [value("tokens", real, ["n", 4, 3])],
        {"first": np.array([0, 0]), "beyond": np.array([4, 4]), "axes": np.array([1, 2]), "middle": np.array([2])},
    )  # fmt: skip
    places = np.stack(np.meshgrid(np.linspace(0.2, 0.8, 3), np.linspace(0.1, 0.9, joints // 3)), axis=-1).reshape(-1, 2)
    grid = np.concatenate([places * SIZE, np.full((joints, 1), 0.9)], axis=1)[None].astype(np.float32)
    save(
        "temporal.onnx",
        [
            helper.make_node("ReduceMean", ["tokens", "inner"], ["one"], keepdims=1),
            helper.make_node("Squeeze", ["one", "inner_one"], ["each"]),
            helper.make_node("Mul", ["each", "zero"], ["nothing"]),
            helper.make_node("Add", ["nothing", "grid"], ["keypoints"]),
            helper.make_node("Add", ["nothing", "variance"], ["spread"]),
        ],
        value("tokens", real, ["n", frames, 4, 3]),
        [value(name, real, ["n", joints, 3]) for name in ("keypoints", "spread")],
        {
            "inner": np.array([1, 2, 3]), "inner_one": np.array([1]), "zero": np.zeros(1, np.float32), "grid": grid,
            "variance": np.broadcast_to(np.array([4, 1, 9], np.float32), grid.shape).copy(),
        },
    )  # fmt: skip
    return write_manifest(
        folder, name="light", skeleton="posetrack", input_size=SIZE, delta=DELTA, tokens={"tokens": (4, 3)},
        mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0),
    )  # fmt: skip
