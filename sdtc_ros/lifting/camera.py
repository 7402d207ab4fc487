# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A calibrated camera: rays out of pixels, in the optical frame (REP 103: x right, y down, z forward)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Float64Array = npt.NDArray[np.float64]
FISHEYE = "equidistant"


@dataclass(frozen=True)
class CameraModel:
    """A calibrated camera: `matrix` 3 x 3 (pixels of the image as it is sent), `distortion` coefficients of a model.

    name: the model's, empty where there is no distortion.
    """

    matrix: Float64Array
    distortion: Float64Array
    name: str

    def rays(self, pixels: npt.NDArray[np.floating[Any]]) -> Float64Array:
        """N x 2 image pixels -> N x 3 rays (x, y, 1) in the optical frame, distortion undone."""
        points = np.asarray(pixels, np.float64).reshape(-1, 1, 2)
        if not len(points):
            return np.zeros((0, 3))
        undo = cv2.fisheye.undistortPoints if self.name == FISHEYE else cv2.undistortPoints
        flat = undo(points, self.matrix, self.distortion).reshape(-1, 2)
        return np.column_stack([flat, np.ones(len(flat))])
