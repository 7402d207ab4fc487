# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Person boxes of a frame: what a detector is, checks on boxes whoever made them, and non-maximum suppression.

A detector is any callable from an image (H x W x 3 uint8 BGR) to Boxes: `person` has the one that the package ships
with, `onnx` one that runs a graph of the user's. One that can look at several images at once is a BatchDetector.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

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


@runtime_checkable
class BatchDetector(Protocol):
    """A detector that looks at several images at once, which a GPU does sooner than one after the other."""

    def many(self, images: Sequence[Image]) -> list[Boxes]:
        """The people of each image."""


def detect_all(detector: Detector, images: Sequence[Image]) -> list[Boxes]:
    """The people of each of several images, in one batch where the detector can."""
    if len(images) > 1 and isinstance(detector, BatchDetector):
        return detector.many(images)
    return [detector(image) for image in images]


def no_boxes() -> Boxes:
    """Nobody there."""
    return Boxes(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))


def usable_boxes(boxes: Boxes, image_size: tuple[int, int], min_score: float = 0.0) -> tuple[Boxes, int]:
    """The boxes a pose can be sought in, and how many others were dropped as invalid.

    image_size is (width, height). Invalid: impossible (see `impossible_boxes`), or with an id that a better scored box
    of the frame has too. Boxes scored under `min_score` go as well, uncounted. Raises InputError where the arrays do
    not fit each other.
    """
    xywh = np.asarray(boxes.xywh, np.float32)
    scores = np.asarray(boxes.scores, np.float32)
    ids = None if boxes.ids is None else np.asarray(boxes.ids, np.int64)
    if xywh.shape != (len(scores), 4) or scores.ndim != 1 or (ids is not None and ids.shape != scores.shape):
        raise InputError(
            f"boxes of shape {xywh.shape} with scores of shape {scores.shape}"
            + ("" if ids is None else f" and ids of shape {ids.shape}")
            + " do not match; N boxes need N x 4 numbers, N scores, and N ids or none"
        )
    valid = ~impossible_boxes(Boxes(xywh, scores), image_size)
    if ids is not None:
        valid &= _first_of_each(ids, np.where(valid, scores, -1.0))
    keep = valid & (scores >= min_score)
    kept = Boxes(xywh[keep], scores[keep], None if ids is None else ids[keep])
    return kept, int(len(valid) - valid.sum())


def impossible_boxes(boxes: Boxes, image_size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Which boxes (N) cannot be a person's in an image of (width, height).

    Not finite, wholly outside the image, a side under MIN_SIDE pixels or over MAX_SIDES times the image's longer one,
    or scored outside 0..1.
    """
    width, height = image_size
    x, y, w, h = np.asarray(boxes.xywh, np.float64).T
    with np.errstate(invalid="ignore"):
        possible = np.isfinite(boxes.xywh).all(axis=1) & (boxes.scores >= 0) & (boxes.scores <= 1)
        possible &= (np.minimum(w, h) >= MIN_SIDE) & (np.maximum(w, h) <= MAX_SIDES * max(width, height))
        possible &= (x < width) & (y < height) & (x + w > 0) & (y + h > 0)
    return ~possible


def best_boxes(boxes: Boxes, most: int, scores: FloatArray | None = None) -> Boxes:
    """The `most` boxes of the highest scores, in their old order; scores: N, to choose by in place of their own."""
    if len(boxes) <= most:
        return boxes
    keep = np.sort(np.argsort(-(boxes.scores if scores is None else scores), kind="stable")[:most])
    return Boxes(boxes.xywh[keep], boxes.scores[keep], None if boxes.ids is None else boxes.ids[keep])


def overlaps(one: FloatArray, other: FloatArray) -> FloatArray:
    """Intersection over union of N x 4 against M x 4 boxes (xywh): N x M."""
    low = np.maximum(one[:, None, :2], other[:, :2])
    high = np.minimum(one[:, None, :2] + one[:, None, 2:], other[:, :2] + other[:, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=-1)
    union = np.prod(one[:, 2:], axis=-1)[:, None] + np.prod(other[:, 2:], axis=-1) - shared
    return np.asarray(shared / np.maximum(union, 1e-9), np.float32)


def suppress(xywh: FloatArray, scores: FloatArray, overlap: float) -> IntArray:
    """Non-maximum suppression (OpenCV's): indices of the boxes kept, best first.

    xywh: N x 4, scores: N, all finite, the scores above 0. A box goes where its intersection over union with a better
    one exceeds `overlap`.
    """
    return np.array(cv2.dnn.NMSBoxes(xywh.tolist(), scores.tolist(), 0.0, overlap), np.int64).reshape(-1)


def _first_of_each(ids: IntArray, scores: FloatArray) -> npt.NDArray[np.bool_]:
    """For every id, only its best scored place is True (the first of equals)."""
    order = np.argsort(-scores, kind="stable")
    _, first = np.unique(ids[order], return_index=True)
    mask = np.zeros(len(ids), bool)
    mask[order[first]] = True
    return mask
