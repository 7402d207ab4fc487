# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Images and outside detections brought together by stamp: the right pairs, bounded, every image accounted for."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sdtc_ros.io.bag import bag_message_types
from sdtc_ros.messages.detections import boxes_of_detections, people_classes
from sdtc_ros.messages.poses import to_header
from sdtc_ros.node.input.matching import MOST, Matcher

MS = 1_000_000
START = 1_700_000_000_000 * MS


def message(milliseconds: float) -> Any:
    seconds, nanoseconds = divmod(START + round(milliseconds * MS), 1_000_000_000)
    return SimpleNamespace(
        at=milliseconds, header=SimpleNamespace(stamp=SimpleNamespace(sec=seconds, nanosec=nanoseconds))
    )


class Bench:
    """A matcher with what it says, on a clock of our own (seconds)."""

    def __init__(self, tolerance_ms: float = 0, wait: float = 0.5) -> None:
        self.now, self.received = 1000.0, 0
        self.pairs: list[tuple[float, float]] = []
        self.unmatched: list[str] = []
        self.matcher = Matcher(
            round(tolerance_ms * MS), wait, matched=lambda i, d: self.pairs.append((i.at, d.at)),
            unmatched=self.unmatched.append, clock=lambda: self.now,
        )  # fmt: skip

    def image(self, *at: float) -> None:
        for one in at:
            self.received += 1
            self.matcher.image(message(one))

    def detections(self, *at: float) -> None:
        for one in at:
            self.matcher.detections(message(one))

    def check(self) -> None:
        assert self.received == len(self.pairs) + len(self.unmatched) + len(self.matcher)
        assert len(self.matcher) <= MOST


def test_either_may_come_first() -> None:
    bench = Bench()
    bench.image(0, 33)
    bench.detections(0, 33, 66)
    bench.image(66)
    assert bench.pairs == [(0, 0), (33, 33), (66, 66)]
    assert (bench.unmatched, len(bench.matcher)) == ([], 0)


def test_a_detector_slower_than_the_camera_drops_what_it_skipped_without_a_word() -> None:
    bench = Bench()
    bench.image(0, 33, 66, 100, 133)
    bench.detections(66)
    assert bench.pairs == [(66, 66)]
    assert bench.unmatched == ["", ""]
    bench.detections(33)  # too late: frames never go back in time
    assert bench.pairs == [(66, 66)]
    assert len(bench.matcher) == 2
    bench.check()


def test_an_exact_match_needs_equal_stamps_to_the_nanosecond() -> None:
    bench = Bench()
    bench.image(5)
    bench.detections(5.000001)
    assert bench.pairs == []
    near = Bench(tolerance_ms=0.000001)
    near.image(5)
    near.detections(5.000001)  # the tolerance itself is allowed
    assert near.pairs == [(5, 5.000001)]


def test_the_nearest_counts_once() -> None:
    bench = Bench(tolerance_ms=20)
    bench.image(0, 33, 66)
    bench.detections(40)
    assert bench.pairs == [(33, 40)]
    bench.detections(49)
    assert bench.pairs == [(33, 40), (66, 49)]
    bench.image(80)  # 49 was used
    assert len(bench.matcher) == 1
    bench.check()


def test_detections_that_never_come_are_told_with_the_reason() -> None:
    bench = Bench(tolerance_ms=10, wait=0.5)
    bench.image(0)
    bench.now += 0.6
    bench.matcher.expire()
    assert bench.unmatched == ["no detections within 0.01 s of its stamp arrived in 0.5 s; none have arrived at all"]
    bench.image(100)
    bench.detections(2100)
    bench.now += 0.6
    bench.image(200)
    assert bench.unmatched[1] == (
        "no detections within 0.01 s of its stamp arrived in 0.5 s (the last that arrived are 2 s newer than the image"
        "): does the detector stamp its detections with the image's header, and keep up?"
    )
    bench.check()


def test_memory_is_bounded_by_number() -> None:
    bench = Bench(wait=1000)
    bench.image(*range(MOST + 5))
    assert len(bench.matcher) == MOST
    assert len(bench.unmatched) == 5
    assert f"more than {MOST} images wait" in bench.unmatched[0]
    for number in range(10 * MOST):
        bench.detections(1e6 + number)
    assert len(bench.matcher._detections) == MOST
    bench.check()


def test_stamps_that_jump_back_begin_anew() -> None:
    bench = Bench()
    for _ in range(3):  # a bag that loops, the last detections of a round get lost
        bench.image(0, 33, 66, 100)
        bench.detections(0, 33)
    assert bench.pairs == [(0, 0), (33, 33)] * 3
    assert bench.unmatched == [""] * 4
    bench.check()


def test_old_detections_do_not_wait_for_a_later_round() -> None:
    bench = Bench()
    bench.image(100)
    bench.detections(50)  # of an image that was lost
    bench.image(0)
    bench.image(50)
    assert bench.pairs == []
    assert len(bench.matcher) == 2


def test_no_stamp_is_told() -> None:
    bench = Bench()
    bench.image(-START / MS)
    bench.detections(-START / MS)
    assert bench.pairs == []
    assert "without a stamp" in bench.unmatched[0]


@pytest.mark.parametrize("seed", range(20))
def test_whatever_comes_every_image_is_accounted_for(seed: int) -> None:
    """Lost, late, doubled and disordered messages, and stamps that jump."""
    rng = np.random.default_rng(seed)
    bench = Bench(tolerance_ms=float(rng.choice([0, 5, 40])), wait=0.3)
    base = 0
    late: list[float] = []
    for number in range(400):
        bench.now += rng.exponential(0.033)
        if rng.random() < 0.01:
            base = int(rng.integers(0, 400))
        at = 33.0 * (base + number)
        if rng.random() < 0.95:
            bench.image(at)
        if rng.random() < 0.7:
            late.insert(int(rng.integers(0, len(late) + 1)), at + float(rng.choice([0, 0, 0, 3, 30])))
        while late and rng.random() < 0.6:
            bench.detections(late.pop(0))
        bench.check()
    assert bench.pairs, "nothing was matched"
    assert all(abs(image - found) <= 40 for image, found in bench.pairs)
    bench.now += 1
    bench.matcher.expire()
    assert len(bench.matcher) == 0
    bench.check()


def test_frames_never_go_back_in_time_while_images_come_in_order() -> None:
    rng = np.random.default_rng(0)
    bench = Bench(tolerance_ms=10)
    pending: list[float] = []
    for number in range(300):
        bench.image(33.0 * number)
        pending.append(33.0 * number)
        for one in list(pending):
            if rng.random() < 0.3:
                pending.remove(one)
                bench.detections(one)
    stamps = [image for image, _ in bench.pairs]
    assert len(stamps) > 30
    assert all(a < b for a, b in itertools.pairwise(stamps))


# ------------------------------------------------------------------------------------------- boxes of a message
TYPES = bag_message_types()


def detection(
    results: list[tuple[str, float]], centre: tuple[float, float], size: tuple[float, float], theta: float = 0.0
) -> Any:
    place = TYPES.pose2d(position=TYPES.point2d(x=centre[0], y=centre[1]), theta=theta)
    return TYPES.detection(
        header=to_header(1, "", TYPES), id="", bbox=TYPES.bounding_box(center=place, size_x=size[0], size_y=size[1]),
        results=[
            TYPES.hypothesis_with_pose(hypothesis=TYPES.hypothesis(class_id=name, score=score), pose=None)
            for name, score in results
        ],
    )  # fmt: skip


def array_of(*detections: Any) -> Any:
    return TYPES.detection_array(header=to_header(1, "", TYPES), detections=list(detections))


def test_boxes_are_corner_and_size() -> None:
    boxes = boxes_of_detections(array_of(detection([("person", 0.75)], (50, 40), (20, 60))), frozenset())
    assert boxes.xywh.tolist() == [[40, 10, 20, 60]]
    assert boxes.scores.tolist() == [0.75]
    assert boxes.ids is None
    assert (boxes.xywh.dtype, boxes.scores.dtype) == (np.float32, np.float32)


@pytest.mark.parametrize(
    ("classes", "scores"),
    [("", [0.9, 0.8, 1.0]), ("person", [0.4]), ("person, dog", [0.9, 0.8]), ("0", []), (" , ", [0.9, 0.8, 1.0])],
)
def test_only_people_are_taken(classes: str, scores: list[float]) -> None:
    message = array_of(
        detection([("dog", 0.9), ("person", 0.4)], (5, 5), (2, 2)),
        detection([("dog", 0.8)], (5, 5), (2, 2)),
        detection([], (5, 5), (2, 2)),
    )
    boxes = boxes_of_detections(message, people_classes(classes))
    assert boxes.scores == pytest.approx(scores)
    assert boxes.xywh.shape == (len(scores), 4)


def test_a_turned_box_counts_with_its_hull() -> None:
    boxes = boxes_of_detections(array_of(detection([], (50, 40), (20, 60), np.pi / 2)), frozenset())
    assert boxes.xywh == pytest.approx(np.array([[20, 30, 60, 20]]), abs=1e-4)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e300])
def test_nonsense_is_left_to_the_pipeline(bad: float) -> None:
    for box in (detection([], (bad, 0), (1, 1)), detection([], (0, 0), (1, 1), bad), detection([], (0, 0), (bad, 1))):
        boxes = boxes_of_detections(array_of(box), frozenset())
        assert boxes.xywh.shape == (1, 4)
