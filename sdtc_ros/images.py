# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Image bytes as ROS carries them -> H x W x 3 uint8 BGR, without cv_bridge (whose binaries break across NumPy ABIs).

Encoding names are those of sensor_msgs/image_encodings.hpp (Humble to Jazzy) and Isaac ROS's nv12. Rows may be padded
(`step`), 16-bit samples may be of either byte order, and colour is turned into BGR the way cv_bridge does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from sdtc_ros.errors import InputError

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class _Packed:
    """Pixels side by side in one plane: channels, bytes a sample, OpenCV's code to BGR (None: BGR already)."""

    channels: int
    sample: int
    code: int | None


@dataclass(frozen=True)
class _Planar:
    """A luma plane, then interleaved chroma: `code` to BGR at half resolution, None for full resolution (nv24)."""

    code: int | None


# OpenCV names a Bayer pattern by its second row's second and third pixels, ROS by its first two rows.
_BAYER = {
    "bayer_rggb": cv2.COLOR_BayerBG2BGR,
    "bayer_bggr": cv2.COLOR_BayerRG2BGR,
    "bayer_gbrg": cv2.COLOR_BayerGR2BGR,
    "bayer_grbg": cv2.COLOR_BayerGB2BGR,
}
_ENCODINGS: dict[str, _Packed | _Planar] = {
    "bgr8": _Packed(3, 1, None),
    "8UC3": _Packed(3, 1, None),
    "rgb8": _Packed(3, 1, cv2.COLOR_RGB2BGR),
    "bgra8": _Packed(4, 1, cv2.COLOR_BGRA2BGR),
    "8UC4": _Packed(4, 1, cv2.COLOR_BGRA2BGR),
    "rgba8": _Packed(4, 1, cv2.COLOR_RGBA2BGR),
    "mono8": _Packed(1, 1, cv2.COLOR_GRAY2BGR),
    "8UC1": _Packed(1, 1, cv2.COLOR_GRAY2BGR),
    "bgr16": _Packed(3, 2, None),
    "rgb16": _Packed(3, 2, cv2.COLOR_RGB2BGR),
    "bgra16": _Packed(4, 2, cv2.COLOR_BGRA2BGR),
    "rgba16": _Packed(4, 2, cv2.COLOR_RGBA2BGR),
    "mono16": _Packed(1, 2, cv2.COLOR_GRAY2BGR),
    "yuv422": _Packed(2, 1, cv2.COLOR_YUV2BGR_UYVY),
    "uyvy": _Packed(2, 1, cv2.COLOR_YUV2BGR_UYVY),
    "yuv422_yuy2": _Packed(2, 1, cv2.COLOR_YUV2BGR_YUY2),
    "yuyv": _Packed(2, 1, cv2.COLOR_YUV2BGR_YUY2),
    **{f"{name}8": _Packed(1, 1, code) for name, code in _BAYER.items()},
    **{f"{name}16": _Packed(1, 2, code) for name, code in _BAYER.items()},
    "nv12": _Planar(cv2.COLOR_YUV2BGR_NV12),
    "nv21": _Planar(cv2.COLOR_YUV2BGR_NV21),
    "nv24": _Planar(None),
}
ENCODINGS = tuple(_ENCODINGS)


class UnknownEncodingError(InputError):
    """A whole topic's images are in a form that is not understood (not one damaged frame of it)."""


def image_to_bgr(
    data: Any, height: int, width: int, encoding: str, step: int = 0, is_bigendian: bool | int = False
) -> Image:
    """Pixels of a sensor_msgs/Image as H x W x 3 uint8 BGR.

    data: bytes, array or uint8 array of the message; step: bytes a row (0: rows are not padded). The result may share
    memory with `data` where nothing has to be converted. Raises UnknownEncodingError for an encoding that is not in
    `ENCODINGS`, InputError where the sizes contradict each other.
    """
    form = _ENCODINGS.get(encoding)
    if form is None:
        raise UnknownEncodingError(f"image encoding '{encoding}' is not known; known are {', '.join(ENCODINGS)}")
    if height < 1 or width < 1:
        raise InputError(f"image of {width} x {height} pixels has no content")
    flat = np.frombuffer(data, np.uint8) if not isinstance(data, np.ndarray) else data.reshape(-1).view(np.uint8)
    if isinstance(form, _Planar):
        return _planar_to_bgr(flat, height, width, encoding, step, form.code)
    rows = _rows(flat, height, width * form.channels * form.sample, encoding, step)
    if form.sample == 2:
        samples = np.ascontiguousarray(rows).view(">u2" if is_bigendian else "<u2").astype(np.uint16)
        pixels = cv2.convertScaleAbs(samples, alpha=1 / 257)  # 65535 -> 255
    else:
        pixels = rows
    if encoding.endswith(("yuv422", "uyvy", "yuyv", "yuy2")) and width % 2:
        raise InputError(
            f"image of encoding '{encoding}' has an odd width of {width}, but two pixels share their colour"
        )
    image: Image = np.ascontiguousarray(pixels, np.uint8).reshape(height, width, form.channels)
    return image if form.code is None else np.asarray(cv2.cvtColor(image, form.code), np.uint8)


def compressed_to_bgr(data: Any, fmt: str) -> Image:
    """Pixels of a sensor_msgs/CompressedImage as H x W x 3 uint8 BGR.

    fmt is as ROS writes it: 'jpeg', 'png', 'bgr8; jpeg compressed bgr8'. Raises UnknownEncodingError for any other
    (depth, video codecs), InputError for data that does not decode or a JPEG that is cut short.
    """
    words = fmt.lower()
    if "compresseddepth" in words or not any(name in words for name in ("jpeg", "jpg", "png")):
        raise UnknownEncodingError(f"compressed image format '{fmt}' is not known; known are jpeg and png")
    flat = np.frombuffer(data, np.uint8) if not isinstance(data, np.ndarray) else data
    return picture_to_bgr(flat, f"compressed image ('{fmt}')")


def picture_to_bgr(data: Image, what: str) -> Image:
    """The content of an image file (N uint8) as H x W x 3 uint8 BGR, `what` names it in the error.

    Raises InputError for data that does not decode or a JPEG that is cut short.
    """
    # pixels as the sensor saw them: an EXIF rotation would contradict the camera's calibration and the annotations
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    image = cv2.imdecode(data, flags) if data.size and not _jpeg_is_cut(data) else None
    if image is None:
        raise InputError(f"{what} of {data.size} bytes does not decode")
    return np.asarray(image, np.uint8)


def _jpeg_is_cut(flat: Image) -> bool:
    """Whether it begins as a JPEG but never ends as one (OpenCV would paint the missing part grey and say nothing)."""
    return flat[:2].tobytes() == b"\xff\xd8" and b"\xff\xd9" not in flat[-4096:].tobytes()


def _rows(flat: Image, height: int, row_bytes: int, encoding: str, step: int) -> Image:
    """The first `row_bytes` of each of `height` rows that lie `step` bytes apart (a view where it can be one)."""
    step = step or row_bytes
    needed = step * (height - 1) + row_bytes
    if step < row_bytes or flat.size < needed:
        raise InputError(
            f"image of encoding '{encoding}' holds {flat.size} bytes with rows of {step}, "
            f"but {height} rows of at least {row_bytes} bytes are needed"
        )
    return np.lib.stride_tricks.as_strided(flat, (height, row_bytes), (step * flat.strides[0], flat.strides[0]))


def _planar_to_bgr(flat: Image, height: int, width: int, encoding: str, step: int, code: int | None) -> Image:
    """nv12 and nv21 (chroma at half resolution), nv24 (at full resolution) to BGR."""
    step = step or width
    if code is not None:
        if height % 2 or width % 2:
            raise InputError(f"image of encoding '{encoding}' is {width} x {height}, but both sides must be even")
        return np.asarray(cv2.cvtColor(_plane(flat, height * 3 // 2, width, encoding, step), code), np.uint8)
    luma = _plane(flat, height, width, encoding, step)
    chroma = _plane(flat[step * height :], height, 2 * width, encoding, 2 * step).reshape(height, width, 2)
    ycrcb = np.dstack([luma, chroma[..., 1], chroma[..., 0]])
    return np.asarray(cv2.cvtColor(ycrcb, cv2.COLOR_YCrCb2BGR), np.uint8)


def _plane(flat: Image, height: int, row_bytes: int, encoding: str, step: int) -> Image:
    return np.ascontiguousarray(_rows(flat, height, row_bytes, encoding, step))
