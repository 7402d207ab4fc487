# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Box checks, non-maximum suppression, and HOG on a real frame."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from sdtc_ros.detection.boxes import HogConfig, HogDetector, best_boxes, suppress, usable_boxes
from sdtc_ros.types import Boxes

VIDEO = Path(__file__).resolve().parents[3] / "shared" / "data" / "video" / "pedestrians.avi"


def real_frame(number: int) -> np.ndarray:
    """A frame of the pedestrians video (768 x 576)."""
    if not VIDEO.is_file():
        pytest.skip("the pedestrians video is not there")
    capture = cv2.VideoCapture(str(VIDEO))
    capture.set(cv2.CAP_PROP_POS_FRAMES, number)
    good, image = capture.read()
    assert good
    return image


def test_usable_boxes_keep_what_touches_the_image() -> None:
    """Cut boxes stay as they are, the rest goes and is counted; weak ones go uncounted."""
    xywh = [
        [-5, -5, 10, 10],
        [99, 49, 50, 50],
        [100, 0, 5, 5],
        [0, -5, 5, 5],
        [1, 1, 0, 5],
        [np.nan, 1, 5, 5],
        [1, 1, 5, 5],
    ]
    scores = np.array([1, 1, 1, 1, 1, 1, 0.1], np.float32)
    kept, dropped = usable_boxes(Boxes(np.array(xywh, np.float32), scores), (100, 50), 0.2)
    np.testing.assert_array_equal(kept.xywh, np.array(xywh[:2], np.float32))
    assert dropped == 4 and kept.ids is None


def test_usable_boxes_want_scores_in_0_to_1_and_one_box_an_id() -> None:
    """Of two boxes with one id the better stays, even where the other comes first."""
    xywh = np.array([[1, 1, 5, 5]] * 5, np.float32)
    scores = np.array([0.5, 0.9, 1.5, np.nan, 0.4], np.float32)
    kept, dropped = usable_boxes(Boxes(xywh, scores, np.array([7, 7, 8, 9, 10])), (100, 50))
    assert kept.ids is not None and kept.ids.tolist() == [7, 10] and kept.scores[0] == np.float32(0.9)
    assert dropped == 3


def test_best_boxes_keep_their_order() -> None:
    boxes = Boxes(np.eye(4, dtype=np.float32), np.array([0.2, 0.9, 0.5, 0.9], np.float32), np.arange(4))
    assert best_boxes(boxes, 2).ids.tolist() == [1, 3]
    assert best_boxes(boxes, 9) is boxes


def test_suppression_by_union_and_by_the_smaller() -> None:
    """A small box inside a large one: little of the union, all of the smaller."""
    xywh = np.array([[0, 0, 100, 100], [30, 30, 20, 20], [10, 0, 100, 100], [300, 0, 10, 10]], np.float32)
    scores = np.array([0.9, 0.8, 0.7, 0.95], np.float32)
    assert suppress(xywh, scores, 0.5).tolist() == [3, 0, 1]
    assert suppress(xywh, scores, 0.5, of_smaller=True).tolist() == [3, 0]
    assert suppress(xywh[:0], scores[:0], 0.5).tolist() == []


def test_hog_finds_the_people_of_a_real_frame() -> None:
    """Three pedestrians stand clear of each other here; their boxes (by hand) are met at IoU 0.6."""
    people = np.array([[281, 213, 39, 89], [486, 163, 29, 76], [590, 242, 54, 84]], np.float32)
    found = HogDetector()(real_frame(5))
    assert found.xywh.dtype == found.scores.dtype == np.float32
    assert ((found.scores >= 0) & (found.scores <= 1)).all()
    sure = found.xywh[found.scores > 0.7]
    near = np.maximum(people[:, None, :2], sure[None, :, :2])
    far = np.minimum(people[:, None, :2] + people[:, None, 2:], sure[None, :, :2] + sure[None, :, 2:])
    common = np.prod(np.maximum(far - near, 0), axis=2)
    iou = common / (np.prod(people[:, 2:], axis=1)[:, None] + np.prod(sure[:, 2:], axis=1)[None] - common)
    assert len(sure) == 3 and (iou.max(axis=1) > 0.6).all(), iou.max(axis=1)


def test_hog_scales_small_and_large_images() -> None:
    """The same scene at half and at twice its size still shows its people, where they are."""
    image = real_frame(5)
    whole = HogDetector()(image)
    best = whole.xywh[whole.scores.argmax()]
    for scale in (0.6, 2.0):
        resized = cv2.resize(image, None, fx=scale, fy=scale)
        found = HogDetector(HogConfig(min_height=72 * scale))(resized)
        centres = found.xywh[:, :2] + found.xywh[:, 2:] / 2
        assert np.abs(centres / scale - best[:2] - best[2:] / 2).max(axis=1).min() < 12


@pytest.mark.parametrize("shape", [(1, 1, 3), (40, 400, 3), (200, 30, 3)])
def test_hog_takes_images_smaller_than_its_window(shape: tuple[int, int, int]) -> None:
    assert len(HogDetector()(np.zeros(shape, np.uint8))) == 0
