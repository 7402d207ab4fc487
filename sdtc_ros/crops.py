# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Person crops: box -> crop box of the network's aspect -> affine, and back (UDP convention, exact inverses).

UDP (Huang et al., "The Devil is in the Details", CVPR 2020): coordinates run over W-1 units, not W pixels, so the
crop's first and last pixel centres lie on the crop box's edges and a crop pixel u maps to x0 + u * w / (W - 1).
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]

ENLARGE = 1.25  # the papers' 25 %


def crop_boxes(xywh: FloatArray, aspect: float, enlarge: float = ENLARGE) -> FloatArray:
    """Grow the short side of each box to width / height = aspect, then enlarge it about its centre.

    xywh: N x 4 (left, top, width, height; image pixels). Returns N x 4 float32 of the same form. Sides under one
    pixel count as one pixel, so a degenerate box still has a crop.
    """
    boxes = np.asarray(xywh, np.float32).reshape(-1, 4)
    size = np.maximum(boxes[:, 2:], 1.0)
    centre = boxes[:, :2] + boxes[:, 2:] / 2
    width = np.maximum(size[:, 0], size[:, 1] * aspect) * enlarge
    grown = np.stack([width, width / aspect], axis=1)
    return np.concatenate([centre - grown / 2, grown], axis=1).astype(np.float32)


def crop_images(
    image: npt.NDArray[np.uint8], boxes: FloatArray, size: tuple[int, int], out: npt.NDArray[np.uint8] | None = None
) -> npt.NDArray[np.uint8]:
    """Cut N crop boxes (N x 4 xywh, image pixels) out of an H x W x 3 uint8 image; outside the image is black.

    size is (width, height) of a crop. Returns N x height x width x 3 uint8 (`out`, where it is given).
    """
    width, height = size
    crops = np.empty((len(boxes), height, width, 3), np.uint8) if out is None else out
    for crop, (x, y, w, h) in zip(crops, np.asarray(boxes, np.float64), strict=True):
        sx, sy = w / (width - 1), h / (height - 1)
        to_image = np.array([[sx, 0, x], [0, sy, y]], np.float64)
        cv2.warpAffine(
            image, to_image, (width, height), dst=crop,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_CONSTANT,
        )  # fmt: skip
    return crops


def to_crop(points: FloatArray, boxes: FloatArray, size: tuple[int, int]) -> FloatArray:
    """Image pixels -> crop pixels: points N x ... x 2 against boxes N x 4 (xywh), crop size (width, height)."""
    offset, scale = _offset_scale(boxes, size, np.asarray(points).ndim)
    return ((points - offset) / scale).astype(np.float32)


def to_image(points: FloatArray, boxes: FloatArray, size: tuple[int, int]) -> FloatArray:
    """Crop pixels -> image pixels, the exact inverse of `to_crop`."""
    offset, scale = _offset_scale(boxes, size, np.asarray(points).ndim)
    return (points * scale + offset).astype(np.float32)


def covariance_to_image(covariance: FloatArray, boxes: FloatArray, size: tuple[int, int]) -> FloatArray:
    """Covariances N x K x 3 (xx, xy, yy) from crop pixels squared to image pixels squared."""
    _, scale = _offset_scale(boxes, size, 3)
    sx, sy = scale[..., :1], scale[..., 1:]
    return (covariance * np.concatenate([sx * sx, sx * sy, sy * sy], axis=-1)).astype(np.float32)


def drift(held: FloatArray, fresh: FloatArray) -> FloatArray:
    """How far an edge of each fresh crop (N x 4 xywh) lies from the held one's at most, as a part of its side: N."""
    size = np.maximum(held[:, 2:], 1e-6)
    near, grown = fresh[:, :2] - held[:, :2], fresh[:, 2:] - held[:, 2:]
    return np.asarray((np.maximum(np.abs(near), np.abs(near + grown)) / size).max(axis=1, initial=0.0))


def crop_moves(crops: FloatArray, to: FloatArray, size: tuple[int, int]) -> FloatArray:
    """From crops N x T x 4 to crops N x 4 (xywh, image pixels), as `Engine.estimate` takes moves: N x T x 4.

    size: (width, height) of all crops.
    """
    units = np.array([size[0] - 1, size[1] - 1], np.float64)
    source, target = np.asarray(crops, np.float64), np.asarray(to, np.float64)[:, None]
    scale, shift = source[..., 2:] / target[..., 2:], (source[..., :2] - target[..., :2]) / target[..., 2:] * units
    return np.concatenate([scale, shift], axis=-1).astype(np.float32)


def _offset_scale(boxes: FloatArray, size: tuple[int, int], ndim: int) -> tuple[Float64Array, Float64Array]:
    """Box origins and image pixels a crop pixel, shaped N x 1 x ... x 2 to broadcast over points of `ndim` axes."""
    flat = np.asarray(boxes, np.float64).reshape(-1, 4)
    shape = (len(flat),) + (1,) * (ndim - 2) + (2,)
    units = np.array([size[0] - 1, size[1] - 1], np.float64)
    return flat[:, :2].reshape(shape), (flat[:, 2:] / units).reshape(shape)
