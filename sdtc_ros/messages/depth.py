# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Depth images as ROS carries them -> H x W float32 metres.

Forms (REP 118): 16UC1 (or mono16, as some drivers name it) in millimetres, 32FC1 in metres, raw or as
compressed_depth_image_transport sends them (PNG; float depth as quantised inverse depth). 0 and what is not finite
mean unknown. Reads attributes only, so messages of ROS and of a bag library serve alike.
"""

from __future__ import annotations

import struct
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from sdtc_ros.errors import InputError

FloatArray = npt.NDArray[np.float32]

MILLIMETRES = ("16UC1", "mono16")
METRES = "32FC1"
_HEADER = struct.Struct("<iff")  # compressed_depth_image_transport's ConfigHeader: format, two parameters of depth


def depth_of_message(message: Any) -> FloatArray:
    """The depth of a sensor_msgs Image or CompressedImage (compressedDepth), H x W float32 metres, 0 unknown.

    Raises InputError for another encoding, and where the data is damaged or does not fit its sizes.
    """
    if hasattr(message, "encoding"):
        return _raw(message)
    return _compressed(np.frombuffer(message.data, np.uint8), str(message.format))


def _raw(message: Any) -> FloatArray:
    encoding, height, width = str(message.encoding), int(message.height), int(message.width)
    if encoding not in (*MILLIMETRES, METRES):
        raise _unknown(encoding)
    order = ">" if message.is_bigendian else "<"
    sample = np.dtype(order + ("f4" if encoding == METRES else "u2"))
    row, step = width * sample.itemsize, int(message.step) or width * sample.itemsize
    flat = np.frombuffer(message.data, np.uint8)
    if height < 1 or width < 1 or step < row or flat.size < step * (height - 1) + row:
        raise InputError(
            f"a depth image of {width} x {height} ({encoding}) holds {flat.size} bytes with rows of {step}: too few"
        )
    rows = np.lib.stride_tricks.as_strided(flat, (height, row), (step, 1))
    return _metres(np.ascontiguousarray(rows).view(sample).reshape(height, width))


def _metres(values: npt.NDArray[Any]) -> FloatArray:
    """Millimetres (integers) or metres (floats) as float32 metres, 0 where they are unknown."""
    if values.dtype.kind == "u":
        return values.astype(np.float32) * np.float32(0.001)
    values = values.astype(np.float32)
    return np.where(np.isfinite(values) & (values > 0), values, np.float32(0))


def _compressed(data: npt.NDArray[np.uint8], form: str) -> FloatArray:
    """PNG of compressed_depth_image_transport: a header, then 16 bits of millimetres or of quantised inverse depth."""
    encoding, _, codec = (part.strip() for part in form.partition(";"))
    if "compressedDepth" not in codec or encoding not in (*MILLIMETRES, METRES):
        raise _unknown(form)
    if "rvl" in codec.lower():
        raise InputError(f"a depth image is of format '{form}': RVL is not read; set the publisher's format to png")
    if data.size <= _HEADER.size:
        raise InputError(f"a compressed depth image of {data.size} bytes is cut short")
    try:
        image = cv2.imdecode(data[_HEADER.size :], cv2.IMREAD_UNCHANGED)
    except cv2.error:  # a size in the file that OpenCV takes for an attack
        image = None
    if image is None or image.dtype != np.uint16 or image.ndim != 2:
        raise InputError(f"a compressed depth image of {data.size} bytes ('{form}') does not decode to 16-bit depth")
    if encoding != METRES:
        return _metres(image)
    _, scale, shift = _HEADER.unpack(data[: _HEADER.size].tobytes())
    known = image > max(shift, 0)
    inverse = np.where(known, image.astype(np.float32) - np.float32(shift), np.float32(1))
    return np.where(known, np.float32(scale) / inverse, np.float32(0)).astype(np.float32)


def _unknown(form: str) -> InputError:
    return InputError(
        f"unknown depth encoding '{form}'; supported: 16UC1 (millimetres) and 32FC1 (metres), raw or compressedDepth"
    )
