# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A stream whose poses can be told beforehand: frame i is one colour that says i, and the only person stands still.

With the arithmetic bundle of `fake_bundle`, joint k of a keyframe shows the colour of its window's frame k mod T, so
a received message says which frames were in which place of the window.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from sdtc_ros.crops import crop_boxes, to_crop

WIDTH, HEIGHT, DELTA = 128, 96, 2
CROP = (24, 32)
BOX = np.array([40, 16, 40, 64], np.float32)  # xywh; its crop lies inside the image
GREEN, RED, BLUE_STEP = 40, 128, 4
DAMAGED = (3, 5)  # frames that come with an unknown encoding and with half their bytes, where a stream has damage
FIRST_STAMP = 1_700_000_000_123_456_789
STEP = 100_000_000  # nanoseconds from stamp to stamp, whatever the rate of publishing
MATRIX = [110.0, 0.0, 66.0, 0.0, 112.0, 46.0, 0.0, 0.0, 1.0]  # the camera's calibration, where one is published
DISTORTION = [-0.25, 0.08, 0.001, -0.002, 0.0]


def image(number: int) -> np.ndarray:
    return np.full((HEIGHT, WIDTH, 3), (BLUE_STEP * number, GREEN, RED), np.uint8)


def stamp(number: int) -> int:
    return FIRST_STAMP + number * STEP


def number_of(stamp: int) -> int:
    number, rest = divmod(stamp - FIRST_STAMP, STEP)
    assert rest == 0, f"{stamp} is no stamp of the stream"
    return number


def frames_of_joints(keypoints: np.ndarray) -> list[float]:
    """K x 3 keypoints (image pixels) -> for every joint the number of the frame that it shows."""
    crop = crop_boxes(BOX[None], CROP[0] / CROP[1])
    colours = to_crop(keypoints[None, :, :2], crop, CROP)[0]
    np.testing.assert_allclose(colours[:, 1], GREEN, atol=0.01)
    np.testing.assert_allclose(keypoints[:, 2], RED / 255, atol=1e-5)
    return (colours[:, 0] / BLUE_STEP).tolist()


def window_of(place: int, numbers: list[int]) -> list[int]:
    """The frames of the window around numbers[place]: the ends are repeated."""
    places = np.clip(np.arange(place - DELTA, place + DELTA + 1), 0, len(numbers) - 1)
    return [numbers[p] for p in places]


def make_detector(path: Path) -> Path:
    """An ONNX detector (1 x N x 6, 64 x 64 input) that sees a person of score 0.9 at BOX, whatever it is shown."""
    scale = 64 / WIDTH
    corners = np.array([BOX[0], BOX[1], BOX[0] + BOX[2], BOX[1] + BOX[3]]) * scale
    answer = np.array([[[*corners, 0.9, 0]]], np.float32)
    nodes = [helper.make_node("Identity", ["value"], ["out"]), helper.make_node("Identity", ["images"], ["seen"])]
    outputs = [helper.make_tensor_value_info("out", TensorProto.FLOAT, answer.shape)]
    inputs = [helper.make_tensor_value_info("images", TensorProto.FLOAT, (1, 3, 64, 64))]
    graph = helper.make_graph(nodes, "detector", inputs, outputs, [numpy_helper.from_array(answer, "value")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, {"names": "{0: 'person'}"})
    onnx.save(model, str(path))
    return path
