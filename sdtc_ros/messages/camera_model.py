# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What a sensor_msgs/CameraInfo says about pixels: rays out of them, and the same said of a scaled image.

Reads attributes only, so messages of ROS and of a bag library serve alike. Rays are in the optical frame (REP 103:
x right, y down, z forward).
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import numpy.typing as npt

from sdtc_ros.errors import InputError
from sdtc_ros.lifting.camera import FISHEYE, CameraModel

Float64Array = npt.NDArray[np.float64]
MODELS = ("plumb_bob", "rational_polynomial", FISHEYE)  # of coefficients in OpenCV's own order

SAME_VIEW = 0.02  # of focal lengths, and of the size for centres: intrinsics nearer than that are of one view


def camera_model(info: Any, size: tuple[int, int]) -> CameraModel:
    """The model of a CameraInfo, for images of `size` (width, height).

    Raises InputError for a camera that is not calibrated, of an unknown distortion, or calibrated for another size.
    """
    expected = _sent_size(info)
    if 0 not in expected and expected != size:
        raise InputError(
            f"camera_info is for images of {expected[0]} x {expected[1]} pixels, but they have {size[0]} x {size[1]}"
        )
    matrix = _sent_matrix(info.k, info)
    if not (matrix[0, 0] > 0 and matrix[1, 1] > 0):
        raise InputError("camera_info has no focal length: the camera is not calibrated")
    name, distortion = str(info.distortion_model), np.array(info.d, np.float64)
    if not distortion.any():
        return CameraModel(matrix, np.zeros(5), "")
    if name not in MODELS:
        raise InputError(f"camera_info: unknown distortion model '{name}'; supported: {', '.join(MODELS)}")
    return CameraModel(matrix, distortion, name)


def view_difference(depth: Any, colour: Any) -> str:
    """How a depth image's CameraInfo differs from that of the colour image it should be registered to, a clause.

    Empty where both have one size, and focal lengths and centres within 2 %; of one that is not calibrated nothing
    can be said.
    """
    size, wanted = _sent_size(depth), _sent_size(colour)
    if 0 not in (*size, *wanted) and size != wanted:
        return f"it is for {size[0]} x {size[1]} pixels, the image's for {wanted[0]} x {wanted[1]}"
    own, other = _sent_matrix(depth.k, depth), _sent_matrix(colour.k, colour)
    if not (own[0, 0] > 0 and other[0, 0] > 0):
        return ""
    if abs(own[0, 0] / other[0, 0] - 1) > SAME_VIEW:
        return f"its focal length is {own[0, 0]:.0f} pixels, the image's {other[0, 0]:.0f}"
    apart = np.abs(own[:2, 2] - other[:2, 2]).max()
    if apart > SAME_VIEW * max(wanted):
        centres = [f"({matrix[0, 2]:.0f}, {matrix[1, 2]:.0f})" for matrix in (own, other)]
        return f"its centre is at {centres[0]}, the image's at {centres[1]}"
    return ""


def scaled_info(info: Any, size: tuple[int, int]) -> Any:
    """A copy of a CameraInfo for its image scaled to `size` (width, height), region and binning worked in.

    Pixel centres lie at whole numbers, as in OpenCV: x becomes (x + 0.5) * scale - 0.5. One that says nothing of sizes
    is copied as it is.
    """
    scaled = copy.deepcopy(info)
    sent = _sent_size(info)
    if 0 in sent:
        return scaled
    for name in ("k", "p"):
        matrix = _sent_matrix(getattr(info, name), info)
        matrix[:2, 2] += 0.5 * matrix[2, 2]
        matrix[:2] *= [[size[0] / sent[0]], [size[1] / sent[1]]]
        matrix[:2, 2] -= 0.5 * matrix[2, 2]
        setattr(scaled, name, matrix.reshape(-1))
    scaled.width, scaled.height = size
    scaled.binning_x = scaled.binning_y = 0
    roi = scaled.roi
    roi.x_offset = roi.y_offset = roi.width = roi.height = 0
    return scaled


def _sent_size(info: Any) -> tuple[int, int]:
    """Width and height of the image as it is sent: of the sensor's region of interest, pixels put together."""
    width, height = info.roi.width or info.width, info.roi.height or info.height
    return width // max(info.binning_x, 1), height // max(info.binning_y, 1)


def _sent_matrix(values: Any, info: Any) -> Float64Array:
    """K (3 x 3) or P (3 x 4) of the image as it is sent; CameraInfo gives them for the full sensor."""
    matrix = np.array(values, np.float64).reshape(3, -1)
    matrix[:2, 2] -= np.array([info.roi.x_offset, info.roi.y_offset]) * matrix[2, 2]
    matrix[:2] /= [[max(info.binning_x, 1)], [max(info.binning_y, 1)]]
    return matrix
