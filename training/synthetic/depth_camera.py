# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What a depth camera would have measured: exact depth with noise, holes at edges, steps, and a shift against colour.

The noise is that of stereo and structured light, which grows with the distance squared (a datum of 0.3 % at 1 metre
gives 1.2 % at 4); it is smooth over a few pixels, as their matching windows make it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class DepthCamera:
    """Settings of a depth camera; 0 turns one off.

    noise: standard deviation in metres at 1 metre, growing with the distance squared; smooth: pixels over which noise
    is alike; edge: metres between neighbours that make a hole there, and `hole` its radius in pixels; steps: disparity
    steps that 1 metre has, so that a step is distance squared / steps; shift: metres sideways by which depth and
    colour are registered wrongly.
    """

    noise: float = 0.003
    smooth: float = 1.5
    edge: float = 0.1
    hole: int = 2
    steps: float = 1000.0
    shift: float = 0.0


def measured(depth: FloatArray, camera: DepthCamera, focal: float, rng: np.random.Generator) -> FloatArray:
    """Exact depth (H x W metres, 0 unknown) as the camera gives it; focal in pixels."""
    known = depth > 0
    result = _shifted(depth, camera.shift * focal) if camera.shift else depth.copy()
    known &= result > 0
    if camera.noise:
        result += _noise(depth.shape, camera, rng) * result**2
    if camera.steps:
        inverse = np.rint(camera.steps / np.where(known, np.maximum(result, 1e-3), 1)) / camera.steps
        result = np.where(inverse > 0, 1 / np.maximum(inverse, 1e-9), 0)
    if camera.edge:
        known &= ~_edges(depth, camera)
    return np.where(known, result, 0).astype(np.float32)


def _noise(shape: tuple[int, ...], camera: DepthCamera, rng: np.random.Generator) -> FloatArray:
    """Smooth noise of standard deviation `noise`."""
    white = rng.standard_normal(shape).astype(np.float32)
    if camera.smooth:
        white = np.asarray(cv2.GaussianBlur(white, (0, 0), camera.smooth), np.float32)
    return np.asarray(white * (camera.noise / white.std()), np.float32)


def _shifted(depth: FloatArray, pixels: float) -> FloatArray:
    """Every pixel from beside it: `pixels` at 1 metre, fewer the farther it is."""
    columns, rows = np.meshgrid(np.arange(depth.shape[1]), np.arange(depth.shape[0]))
    beside = (columns + pixels / np.where(depth > 0, depth, np.inf)).astype(np.float32)
    return np.asarray(cv2.remap(depth, beside, rows.astype(np.float32), cv2.INTER_NEAREST), np.float32)


def _edges(depth: FloatArray, camera: DepthCamera) -> npt.NDArray[np.bool_]:
    """Where depth jumps, and around it."""
    around = np.ones((3, 3), np.uint8)
    jump = cv2.dilate(depth, around) - cv2.erode(depth, around) > camera.edge
    size = 2 * camera.hole + 1
    return np.asarray(cv2.dilate(jump.astype(np.uint8), np.ones((size, size), np.uint8)) > 0)
