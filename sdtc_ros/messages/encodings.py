# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Image bytes as ROS carries them -> H x W x 3 uint8 BGR, without cv_bridge (whose binaries break across NumPy ABIs).

Encoding names are those of sensor_msgs/image_encodings.hpp (Humble to Jazzy) and Isaac ROS's nv12. Rows may be padded
(`step`), 16-bit samples may be of either byte order, and colour is turned into BGR the way cv_bridge does, to the bit.
Encodings of plain numbers (16UC1, 32FC1: depth, labels) have no colours to give and are refused, as in cv_bridge; but
8UC1, 8UC3 and 8UC4, which many drivers write, are taken as mono8, bgr8 and bgra8.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from sdtc_ros.errors import InputError
from sdtc_ros.messages.jpeg import cut_short, without_padding

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
_COMPRESSED = (b"\xff\xd8", b"\x89PNG", b"II*\0", b"MM\0*")  # JPEG, PNG, TIFF
_PLAIN_NUMBERS = re.compile(r"(8|16|32|64)[USF]C?\d*")
_HALF_WIDTH_COLOUR = ("yuv422", "uyvy", "yuv422_yuy2", "yuyv")
_BY_CHANNELS: dict[int, int | None] = {1: cv2.COLOR_GRAY2BGR, 3: None, 4: cv2.COLOR_BGRA2BGR}


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
    form = _form(encoding)
    if height < 1 or width < 1:
        raise InputError(f"image of {width} x {height} pixels is empty")
    flat = np.frombuffer(data, np.uint8) if not isinstance(data, np.ndarray) else data.reshape(-1).view(np.uint8)
    if isinstance(form, _Planar):
        return _planar_to_bgr(flat, height, width, encoding, step, form.code)
    if encoding in _HALF_WIDTH_COLOUR and width % 2:
        raise InputError(
            f"image of encoding '{encoding}' has an odd width of {width}, but two pixels share their colour"
        )
    rows = np.ascontiguousarray(_rows(flat, height, width * form.channels * form.sample, encoding, step))
    if form.sample == 2:
        rows = rows.view(">u2" if is_bigendian else "<u2").astype(np.uint16, copy=False)
    return _to_bgr(rows.reshape(height, width, form.channels), form.code)


def _form(encoding: str) -> _Packed | _Planar:
    """How an encoding lies in memory; raises UnknownEncodingError, with the reason, for what is no image of colours."""
    if encoding in _ENCODINGS:
        return _ENCODINGS[encoding]
    if _PLAIN_NUMBERS.fullmatch(encoding):
        raise UnknownEncodingError(
            f"image encoding '{encoding}' holds plain numbers, as depth images do, and no colours: name the camera's "
            "colour or infrared image, or have its driver say what it is (mono16, for grey)"
        )
    raise UnknownEncodingError(f"unknown image encoding '{encoding}'; supported: {', '.join(ENCODINGS)}")


def _to_bgr(image: npt.NDArray[Any], code: int | None) -> Image:
    """OpenCV's conversion `code` (None: BGR already), then 16 bits to 8: 65535 -> 255."""
    if code is not None:
        image = cv2.cvtColor(image, code)
    return np.asarray(image if image.dtype == np.uint8 else cv2.convertScaleAbs(image, alpha=1 / 257), np.uint8)


def compressed_to_bgr(data: Any, fmt: str) -> Image:
    """Pixels of a sensor_msgs/CompressedImage as H x W x 3 uint8 BGR.

    fmt is as ROS writes it: 'jpeg', 'png', 'rgb8; jpeg compressed bgr8', 'bayer_rggb8; png compressed '; empty means
    jpeg or png. A JPEG may have bytes after its end, or lack the end marker alone. Raises UnknownEncodingError for any
    other format (depth, video codecs), InputError for data that does not decode or is cut short.
    """
    order, what = _sample_order(fmt), f"compressed image ('{fmt}')"
    flat = np.frombuffer(data, np.uint8) if not isinstance(data, np.ndarray) else data
    if flat.size and not flat[:4].tobytes().startswith(_COMPRESSED):  # OpenCV would try its other decoders, some crash
        head = flat[:8].tobytes().hex(" ")
        raise InputError(
            f"{what} of {flat.size} bytes does not decode: it begins as no JPEG, PNG or TIFF does ({head})"
        )
    image = _decoded(flat, cv2.IMREAD_UNCHANGED, what)
    channels = image.shape[2] if image.ndim == 3 else 1
    if image.dtype not in (np.uint8, np.uint16) or channels not in _BY_CHANNELS:
        raise InputError(f"{what} decodes to {channels} channels of {image.dtype}, which are no colours")
    form = _ENCODINGS.get(order)
    if isinstance(form, _Packed) and form.channels == channels:
        return _to_bgr(image, form.code)
    return _to_bgr(image, _BY_CHANNELS[channels])


def _sample_order(fmt: str) -> str:
    """The encoding of the samples that the codec was given; empty where the file itself says it.

    The format is 'ENCODING; CODEC compressed [ENCODING GIVEN TO THE CODEC]', or the codec alone. The second encoding
    is missing for grey, for Bayer patterns in png (which stay patterns) and for tiff (which takes any order as it is).
    """
    words = fmt.lower()
    if words and ("compresseddepth" in words or not any(codec in words for codec in ("jpeg", "jpg", "png", "tif"))):
        raise UnknownEncodingError(f"unknown compressed image format '{fmt}'; supported: jpeg, png, tiff")
    raw, _, codec = (part.strip() for part in fmt.partition(";"))
    given = codec.partition("compressed")[2].strip()
    if not given and raw not in _ENCODINGS and _PLAIN_NUMBERS.fullmatch(raw):
        _form(raw)  # says why it is none
    return given or (raw if raw.startswith("bayer") or "tif" in codec else "")


def file_to_bgr(data: Image, what: str) -> Image:
    """The content of an image file (N uint8) as H x W x 3 uint8 BGR, `what` names it in the error.

    A photograph with an EXIF orientation is turned upright, as viewers and labelling tools show it. Raises InputError
    for data that does not decode or is cut short.
    """
    return np.asarray(_decoded(data, cv2.IMREAD_COLOR, what), np.uint8)


def images_in(data: Image) -> int:
    """How many images as large as its first the content of an image file (N uint8) holds: pages, frames."""
    try:
        read, pages = cv2.imdecodemulti(data, cv2.IMREAD_GRAYSCALE)
    except cv2.error:
        return 1
    return sum(page.shape == pages[0].shape for page in pages) if read else 1


def _decoded(data: Image, flags: int, what: str) -> npt.NDArray[Any]:
    try:
        cut = cut_short(data, flags)
        image = cv2.imdecode(without_padding(data), flags) if data.size and not cut else None
    except cv2.error:  # a size in the file that OpenCV takes for an attack
        image, cut = None, False
    if image is None:
        raise InputError(f"{what} of {data.size} bytes {'is cut short' if cut else 'does not decode'}")
    return image


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
