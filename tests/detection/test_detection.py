# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Box checks, non-maximum suppression, several images at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from sdtc_ros.detection.boxes import best_boxes, detect_all, suppress, usable_boxes
from sdtc_ros.types import Boxes


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


@pytest.mark.parametrize(
    ("box", "usable"),
    [
        ([10, 10, 1, 1], True),
        ([10, 10, 0.001, 0.001], False),
        ([10, 10, 20, 0.5], False),
        ([-400, -400, 1000, 900], True),
        ([-1e30, -1e30, 2e30, 2e30], False),
        ([0, 0, 1e30, 5], False),
    ],
)
def test_boxes_of_another_unit_are_none(box: list[float], usable: bool) -> None:
    kept, dropped = usable_boxes(Boxes(np.array([box], np.float32), np.ones(1, np.float32)), (100, 50))
    assert (len(kept), dropped) == ((1, 0) if usable else (0, 1))


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


def test_best_boxes_by_other_scores() -> None:
    boxes = Boxes(np.eye(3, 4, dtype=np.float32), np.array([0.6, 0.7, 0.9], np.float32), np.array([4, 5, 6]))
    best = best_boxes(boxes, 2, np.array([0.9, 0.7, 0.8], np.float32))
    assert best.ids.tolist() == [4, 6] and best.scores.tolist() == boxes.scores[[0, 2]].tolist()


def test_suppression_by_intersection_over_union() -> None:
    """A small box inside a large one is little of their union."""
    xywh = np.array([[0, 0, 100, 100], [30, 30, 20, 20], [10, 0, 100, 100], [300, 0, 10, 10]], np.float32)
    scores = np.array([0.9, 0.8, 0.7, 0.95], np.float32)
    assert suppress(xywh, scores, 0.5).tolist() == [3, 0, 1]
    assert suppress(xywh[:0], scores[:0], 0.5).tolist() == []


@pytest.mark.parametrize(
    "xywh",
    [
        (10, 10, 1e30, 50), (10, 10, 50, 0.001), (10, 10, np.inf, 50), (10, 10, -5, 50), (101, 0, 5, 5),
        (10, 10, 1001, 50),
    ],
)  # fmt: skip
def test_impossible_boxes_are_dropped_and_counted(xywh: tuple[float, ...]) -> None:
    kept, dropped = usable_boxes(Boxes(np.array([xywh], np.float32), np.ones(1, np.float32)), (100, 50))
    assert (len(kept), dropped) == (0, 1)


def test_a_detector_that_takes_several_images_is_given_them_together() -> None:
    class Both:
        def __init__(self) -> None:
            self.calls: list[int] = []

        def __call__(self, image: np.ndarray) -> Boxes:
            return self.many([image])[0]

        def many(self, images: Sequence[np.ndarray]) -> list[Boxes]:
            self.calls.append(len(images))
            return [Boxes(np.full((1, 4), len(image), np.float32), np.ones(1, np.float32)) for image in images]

    both, images = Both(), [np.zeros((n, 8, 3), np.uint8) for n in (3, 5)]
    assert [boxes.xywh[0, 0] for boxes in detect_all(both, images)] == [3, 5]
    assert both.calls == [2]
    assert [len(boxes) for boxes in detect_all(lambda image: both(image), images)] == [1, 1]
