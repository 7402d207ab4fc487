# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""When a pipeline asks its detector, what becomes of who is missed or walks out, and what a successor goes on with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from fake_bundle import make_bundle

from sdtc_ros.models.bundle import Bundle
from sdtc_ros.node.loading import Loaded, Model
from sdtc_ros.pipeline.pipeline import Pipeline, PipelineConfig
from sdtc_ros.pipeline.together import process_together
from sdtc_ros.types import Boxes, Frame, FramePoses

STEP = 40_000_000  # nanoseconds: 25 frames a second
NOBODY = np.zeros((0, 4), np.float32)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_bundle(tmp_path_factory.mktemp("bundle"))


class UnsureEngine:
    """Answers poses that nobody is sure of, so boxes go on at constant speed."""

    def encode(self, crops: np.ndarray) -> list[Any]:
        return [None] * len(crops)

    def estimate(self, windows: Sequence[Sequence[Any]], moves: Any = None) -> tuple[np.ndarray, np.ndarray]:
        keypoints = np.full((len(windows), 15, 3), 0.1, np.float32)
        return keypoints, keypoints


class Seer:
    """A detector by the number that an image bears; `calls` are those it was asked for."""

    def __init__(self, people: Any = lambda number: [[20, 20, 30, 60]]) -> None:
        self.people, self.calls = people, []

    def __call__(self, image: np.ndarray) -> Boxes:
        self.calls.append(int(image[0, 0, 0]))
        xywh = np.array(self.people(self.calls[-1]), np.float32).reshape(-1, 4)
        return Boxes(xywh, np.ones(len(xywh), np.float32))


def frame(number: int, stamp: int | None = None, size: tuple[int, int] = (120, 160)) -> Frame:
    return Frame(np.full((*size, 3), number, np.uint8), STEP * (number if stamp is None else stamp))


def pipeline_of(bundle: Bundle, seer: Seer, every: int) -> Pipeline:
    return Pipeline(bundle, UnsureEngine(), PipelineConfig(lookahead=0, detect_every=every), seer)


def ids(answer: FramePoses | None) -> list[int]:
    assert answer is not None
    return [pose.track_id for pose in answer.poses]


def test_after_a_cut_the_detector_is_asked_at_once(bundle: Bundle) -> None:
    seer = Seer()
    pipeline = pipeline_of(bundle, seer, 5)
    found = [ids(pipeline.process(one)) for one in (frame(1), frame(2), frame(3), frame(4, 1), frame(5, 2))]
    assert seer.calls == [1, 4]
    assert found == [[1], [1], [1], [2], [2]]


def test_one_miss_of_the_detector_takes_nobody_away_and_two_do(bundle: Bundle) -> None:
    """Missed in frame 10, and from 20 on: he stays until the next detection, and no longer."""
    seer = Seer(lambda number: NOBODY if number == 10 or number >= 20 else [[20, 20, 30, 60]])
    pipeline = pipeline_of(bundle, seer, 5)
    found = [ids(pipeline.process(frame(number))) for number in range(30)]
    assert found == [[1]] * 25 + [[]] * 5


def test_where_every_frame_is_detected_or_boxes_are_given_the_missed_are_missed(bundle: Bundle) -> None:
    seer = Seer(lambda number: NOBODY if number == 5 else [[20, 20, 30, 60]])
    pipeline = pipeline_of(bundle, seer, 1)
    assert [ids(pipeline.process(frame(number))) for number in range(8)] == [[1]] * 5 + [[]] + [[1]] * 2
    given = pipeline_of(bundle, seer, 5)
    assert [ids(given.process(frame(n), seer(frame(n).image))) for n in range(8)] == [[1]] * 5 + [[]] + [[1]] * 2


def test_who_walks_out_between_detections_is_out_and_not_counted_as_dropped(bundle: Bundle) -> None:
    """Found in frames 0 and 4 at 5 pixels a frame, he leaves 160 pixels in frame 5, and is not there in frame 8."""
    seer = Seer(lambda number: NOBODY if number > 4 else [[135 + 5 * number, 20, 60, 60]])
    pipeline = pipeline_of(bundle, seer, 4)
    found = [ids(pipeline.process(frame(number))) for number in range(12)]
    assert found == [[1]] * 5 + [[]] * 7
    assert pipeline.dropped_boxes == 0


def test_a_successor_asks_the_detector_when_its_turn_comes(bundle: Bundle) -> None:
    seer = Seer()
    pipeline = pipeline_of(bundle, seer, 4)
    for number in range(2):
        pipeline.process(frame(number))
    successor = pipeline.successor(bundle, UnsureEngine())
    for number in range(2, 6):
        successor.process(frame(number))
    assert seer.calls == [0, 4]


@pytest.mark.parametrize("cut", [frame(2, 0), frame(2, 99), frame(2, size=(60, 80))])
def test_a_successor_sees_where_its_first_frame_is_of_another_scene(bundle: Bundle, cut: Frame) -> None:
    """The stamps go back, leap ahead, or the image has another size: the people are new ones."""
    pipeline = pipeline_of(bundle, Seer(), 1)
    assert ids(pipeline.process(frame(1))) == [1]
    assert ids(pipeline.successor(bundle, UnsureEngine()).process(cut)) == [2]


def test_a_successor_goes_on_counting_what_is_dropped_and_does_not_warn_again(
    bundle: Bundle, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline = pipeline_of(bundle, Seer(lambda number: [[500, 20, 30, 60]]), 1)
    pipeline.process(frame(0))
    successor = pipeline.successor(bundle, UnsureEngine())
    successor.process(frame(1))
    assert successor.dropped_boxes == 2
    assert len(caplog.records) == 1


def test_a_nodes_cameras_do_not_all_ask_the_detector_in_the_same_round(bundle: Bundle) -> None:
    """The first frame apart: nobody is known yet. The first camera keeps replay's frames."""
    seer = Seer()
    loaded = Loaded(Model(bundle, UnsureEngine()), seer, PipelineConfig(lookahead=0, detect_every=4))
    cameras = [loaded.pipeline(number) for number in range(6)]
    rounds = []
    for number in range(13):
        seer.calls.clear()
        answers = process_together([(camera, frame(number), None) for camera in cameras])
        assert [ids(answer) for answer in answers] == [[1]] * 6
        rounds.append(len(seer.calls))
    assert rounds == [6, 1, 1, 2, 2, 1, 1, 2, 2, 1, 1, 2, 2]
    successors = [camera.successor(bundle, loaded.model.engine) for camera in cameras]
    seer.calls.clear()
    process_together([(successor, frame(13, 0), None) for successor in successors])  # a cut: all begin anew, in step
    process_together([(successor, frame(14, 1), None) for successor in successors])
    assert seer.calls == [13] * 6 + [14]
