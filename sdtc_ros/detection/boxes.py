# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Person boxes of a frame: checks on boxes from outside, and OpenCV's HOG people detector as the embedded default.

A detector is any callable from an image (H x W x 3 uint8 BGR) to Boxes; `onnx_detector` has one that runs a graph.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from sdtc_ros.errors import InputError
from sdtc_ros.types import Boxes

Image = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
Detector = Callable[[Image], Boxes]
MIN_SIDE, MAX_SIDES = 1.0, 10.0  # of a box: what is smaller or larger comes of another unit, or of a defect


def no_boxes() -> Boxes:
    """Nobody there."""
    return Boxes(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))


def usable_boxes(boxes: Boxes, image_size: tuple[int, int], min_score: float = 0.0) -> tuple[Boxes, int]:
    """The boxes a pose can be sought in, and how many others were dropped as invalid.

    image_size is (width, height). Invalid: not finite, wholly outside the image, a side under MIN_SIDE pixels or over
    MAX_SIDES times the image's longer one, a score outside 0..1, or an id that a better scored box of the frame has
    too. Boxes scored under `min_score` go as well, uncounted.
    Raises InputError where the arrays do not fit each other.
    """
    xywh = np.asarray(boxes.xywh, np.float32)
    scores = np.asarray(boxes.scores, np.float32)
    ids = None if boxes.ids is None else np.asarray(boxes.ids, np.int64)
    if xywh.shape != (len(scores), 4) or scores.ndim != 1 or (ids is not None and ids.shape != scores.shape):
        raise InputError(
            f"boxes of shape {xywh.shape} with scores of shape {scores.shape}"
            + ("" if ids is None else f" and ids of shape {ids.shape}")
            + " do not fit each other; N boxes need N x 4 numbers, N scores and N ids or none"
        )
    width, height = image_size
    valid = np.isfinite(xywh).all(axis=1) & (scores >= 0) & (scores <= 1)
    x, y, w, h = xywh.T
    with np.errstate(invalid="ignore", over="ignore"):
        valid &= (np.minimum(w, h) >= MIN_SIDE) & (np.maximum(w, h) <= MAX_SIDES * max(width, height))
        valid &= (x < width) & (y < height) & (x + w > 0) & (y + h > 0)
    if ids is not None:
        valid &= _first_of_each(ids, np.where(valid, scores, -1.0))
    keep = valid & (scores >= min_score)
    kept = Boxes(xywh[keep], scores[keep], None if ids is None else ids[keep])
    return kept, int(len(valid) - valid.sum())


def best_boxes(boxes: Boxes, most: int) -> Boxes:
    """The `most` boxes of the highest scores, in their old order."""
    if len(boxes) <= most:
        return boxes
    keep = np.sort(np.argsort(-boxes.scores, kind="stable")[:most])
    return Boxes(boxes.xywh[keep], boxes.scores[keep], None if boxes.ids is None else boxes.ids[keep])


def overlaps(one: FloatArray, other: FloatArray) -> FloatArray:
    """Intersection over union of N x 4 against M x 4 boxes (xywh): N x M."""
    low = np.maximum(one[:, None, :2], other[:, :2])
    high = np.minimum(one[:, None, :2] + one[:, None, 2:], other[:, :2] + other[:, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=-1)
    union = np.prod(one[:, 2:], axis=-1)[:, None] + np.prod(other[:, 2:], axis=-1) - shared
    return np.asarray(shared / np.maximum(union, 1e-9), np.float32)


def suppress(xywh: FloatArray, scores: FloatArray, overlap: float, *, of_smaller: bool = False) -> IntArray:
    """Non-maximum suppression: indices of the boxes kept, best first; xywh N x 4, scores N.

    A box goes where its overlap with a better one exceeds `overlap`: intersection over union, or over the smaller of
    the two areas.
    """
    order = np.argsort(-scores, kind="stable")
    near, far, area = xywh[:, :2], xywh[:, :2] + xywh[:, 2:], xywh[:, 2] * xywh[:, 3]
    kept = []
    while len(order):
        best, rest = order[0], order[1:]
        kept.append(best)
        sides = np.maximum(np.minimum(far[best], far[rest]) - np.maximum(near[best], near[rest]), 0)
        common = sides[:, 0] * sides[:, 1]
        whole = np.minimum(area[best], area[rest]) if of_smaller else area[best] + area[rest] - common
        order = rest[common <= overlap * whole]
    return np.array(kept, np.int64)


@dataclass(frozen=True)
class HogConfig:
    """Settings of the HOG detector.

    min_height: the smallest person to be found, in image pixels (a person fills 96 of the 128 pixels of HOG's
    window, so the image is scaled by 96 / min_height); max_pixels: area of the scaled image that is not exceeded,
    whatever min_height asks for, which bounds the time; stride, pyramid: step of the window in scaled pixels, and
    from one scale to the next; hit_threshold: smallest SVM margin; shrink_w, shrink_h: the person's part of HOG's
    window, which is loose by construction; overlap: part of the smaller of two boxes that may lie in the other, the
    weaker one goes beyond it (HOG likes to put a large box around a small one).
    """

    min_height: float = 72.0
    max_pixels: int = 1024 * 768
    stride: int = 8
    pyramid: float = 1.05
    hit_threshold: float = 0.0
    shrink_w: float = 0.65
    shrink_h: float = 0.8
    overlap: float = 0.6


class HogDetector:
    """OpenCV's HOG + linear SVM people detector (Dalal and Triggs, CVPR 2005): upright people, no model file.

    A score is 1 - exp(-2 x margin) of the SVM's margin: 0 on its decision boundary, 0.2 at 0.11, 0.5 at 0.35, 0.86 at
    1. It grows with the margin, and is no probability.
    """

    def __init__(self, config: HogConfig | None = None) -> None:
        """Load the default people detector of OpenCV."""
        self._config = config or HogConfig()
        self._hog = cv2.HOGDescriptor()
        self._hog.setSVMDetector(np.array(cv2.HOGDescriptor.getDefaultPeopleDetector()))

    def __call__(self, image: Image) -> Boxes:
        """People in an H x W x 3 uint8 BGR image."""
        config = self._config
        height, width = image.shape[:2]
        scale = min(96.0 / config.min_height, (config.max_pixels / (width * height)) ** 0.5)
        # the window is 64 x 128: a smaller image has no place for it
        size = (max(64, round(width * scale)), max(128, round(height * scale)))
        scaled = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR if scale > 1 else cv2.INTER_AREA)
        found, margins = self._hog.detectMultiScale(
            scaled, hitThreshold=config.hit_threshold, winStride=(config.stride, config.stride),
            scale=config.pyramid, groupThreshold=0,
        )  # fmt: skip
        if len(found) == 0:
            return no_boxes()
        to_image = np.array([width / size[0], height / size[1]] * 2, np.float32)
        boxes = np.asarray(found, np.float32).reshape(-1, 4) * to_image
        part = np.array([config.shrink_w, config.shrink_h], np.float32)
        boxes[:, :2] += boxes[:, 2:] * (1 - part) / 2
        boxes[:, 2:] *= part
        scores = (1 - np.exp(-2 * np.maximum(np.asarray(margins, np.float32).reshape(-1), 0))).astype(np.float32)
        kept = suppress(boxes, scores, config.overlap, of_smaller=True)
        return Boxes(boxes[kept], scores[kept])


def _first_of_each(ids: IntArray, scores: FloatArray) -> npt.NDArray[np.bool_]:
    """For every id, only its best scored place is True (the first of equals)."""
    order = np.argsort(-scores, kind="stable")
    _, first = np.unique(ids[order], return_index=True)
    mask = np.zeros(len(ids), bool)
    mask[order[first]] = True
    return mask
