# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Two tracks' poses of the same person: the better one is left, where the boxes were found and not given."""

from __future__ import annotations

import numpy as np
import pytest
from fake_bundle import make_bundle

from sdtc_ros.engine.ort.host import OnnxEngine
from sdtc_ros.models.bundle import Bundle
from sdtc_ros.pipeline.duplicates import BETTER, NEAR, SHARE, without_duplicates
from sdtc_ros.pipeline.pipeline import Pipeline, PipelineConfig
from sdtc_ros.pipeline.together import process_together
from sdtc_ros.tracking.tracker import TrackingConfig
from sdtc_ros.types import Boxes, Frame, FramePoses, Pose

JOINTS, SIDE = 15, 100.0
PLACES = np.random.default_rng(0).uniform(0, SIDE, (JOINTS, 2)).astype(np.float32)
PLACES[:2] = [[0, 0], [SIDE, SIDE]]
OWN, WIDE = [0, 0, SIDE, SIDE], [-SIDE, 0, 2 * SIDE, SIDE]  # boxes: of who stands there, and of him and a neighbour
STEP = 40_000_000


def pose(track: int, places: np.ndarray, box: list[float] = OWN) -> Pose:
    keypoints = np.concatenate([places, np.full((JOINTS, 1), 0.5)], axis=1).astype(np.float32)
    return Pose(track, np.array(box, np.float32), 1.0, keypoints, np.ones((JOINTS, 3), np.float32), 0.5)


def tracks(poses: list[Pose]) -> list[int]:
    return [one.track_id for one in poses]


def test_of_poses_of_one_person_his_whose_box_fits_is_left_and_a_neighbour_stays() -> None:
    near, beside = PLACES + np.float32(0.5 * NEAR * SIDE), PLACES + np.float32(30)
    poses = [pose(1, PLACES, WIDE), pose(2, beside, [30, 30, SIDE, SIDE]), pose(3, near), pose(4, PLACES, WIDE)]
    assert tracks(without_duplicates(poses)) == [2, 3]
    assert without_duplicates([]) == [] and tracks(without_duplicates(poses[:1])) == [1]


@pytest.mark.parametrize(("alike", "left"), [(round(SHARE * JOINTS), [2]), (round(SHARE * JOINTS) - 1, [2, 1])])
def test_two_poses_are_one_from_two_thirds_of_the_joints_on(alike: int, left: list[int]) -> None:
    places = PLACES + np.float32(30)
    places[:alike] = PLACES[:alike]
    assert tracks(without_duplicates([pose(2, PLACES), pose(1, places)])) == left


@pytest.mark.parametrize(("wider", "left"), [(0.5 * BETTER, 1), (2 * BETTER, 2)])
def test_two_boxes_that_fit_alike_do_not_take_turns(wider: float, left: int) -> None:
    """The older track stays, unless the newer one's box fits clearly better."""
    box = [0, 0, SIDE / (1 - wider), SIDE]
    assert tracks(without_duplicates([pose(2, PLACES), pose(1, PLACES, box)])) == [left]


def test_a_small_person_in_a_large_box_is_not_his_neighbour() -> None:
    small = PLACES * np.float32(0.1)
    poses = [pose(1, small, [-SIDE, -SIDE, 2 * SIDE, 3 * SIDE]), pose(2, small + np.float32([4, 0]), [4, 0, 10, 10])]
    assert tracks(without_duplicates(poses)) == [1, 2]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_joints_that_are_nowhere_are_nobody_s_duplicate(value: float) -> None:
    assert tracks(without_duplicates([pose(1, PLACES), pose(2, np.full_like(PLACES, value))])) == [1, 2]


PEOPLE = Boxes(np.array([[40, 20, 30, 80], [40, 20, 30, 80]], np.float32), np.array([0.9, 0.8], np.float32))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Whose joints all lie in the crop's corner where the image is black."""
    return make_bundle(tmp_path_factory.mktemp("bundle"))


def pipeline_of(bundle: Bundle, lookahead: int = 0, every: int = 1, every_box: bool = False) -> Pipeline:
    tracking = TrackingConfig(keep_untracked=every_box)
    config = PipelineConfig(lookahead=lookahead, detect_every=every, tracking=tracking)
    return Pipeline(bundle, OnnxEngine(bundle, threads=1), config, lambda image: PEOPLE)


def counts(pipeline: Pipeline, given: list[bool]) -> list[int]:
    answers = [pipeline.process(black(number), PEOPLE if given[number] else None) for number in range(len(given))]
    return [len(answer.poses) for answer in [*answers, *pipeline.flush()] if answer is not None]


def black(number: int) -> Frame:
    return Frame(np.zeros((120, 160, 3), np.uint8), number * STEP)


@pytest.mark.parametrize("lookahead", [0, 2])
def test_only_people_who_were_found_can_be_found_twice(bundle: Bundle, lookahead: int) -> None:
    """A box that was given has its pose, whatever the frames after the keyframe had."""
    assert counts(pipeline_of(bundle, lookahead), [False, True, False, True, True]) == [1, 2, 1, 2, 2]


def test_so_has_one_that_was_given_and_propagated_and_every_box_of_the_papers_protocol(bundle: Bundle) -> None:
    assert counts(pipeline_of(bundle, every=3), [False, True, False, False, False]) == [1, 2, 2, 2, 1]
    assert counts(pipeline_of(bundle, every_box=True), [False, False]) == [2, 2]


def test_in_a_batch_of_cameras_each_has_its_own_rule(bundle: Bundle) -> None:
    found = pipeline_of(bundle)
    given = Pipeline(bundle, found.engine, found.config)
    answers = process_together([(found, black(0), None), (given, black(0), PEOPLE)])
    assert [len(answer.poses) for answer in answers if answer is not None] == [1, 2]


def test_who_is_left_out_is_said(bundle: Bundle) -> None:
    found = pipeline_of(bundle)
    first, second = found.process(black(0)), found.process(black(1), PEOPLE)
    assert first is not None and second is not None
    assert (tracks(first.poses), first.duplicates) == ([1], (2,))
    assert (len(second.poses), second.duplicates) == (2, ())


def test_a_place_is_somebody_else_s_who_was_not_shown(bundle: Bundle) -> None:
    """Three people and two places: the third has the pose that the second does not show."""
    boxes = Boxes(np.repeat(PEOPLE.xywh[:1], 3, axis=0), np.array([0.9, 0.8, 0.7], np.float32))
    boxes.xywh[2, 0] = 110  # his joints lie in another corner
    config = PipelineConfig(lookahead=0, max_people=2)
    pipeline = Pipeline(bundle, OnnxEngine(bundle, threads=1), config, lambda image: boxes)
    answers = [pipeline.process(black(number)) for number in range(3)]
    assert [tracks(one.poses) for one in answers if one is not None] == [[1], [1, 3], [1, 3]]


def test_the_tracker_does_not_hear_of_duplicates(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[FramePoses] = []
    pipeline = pipeline_of(bundle)
    monkeypatch.setattr(pipeline._tracker, "add_poses", heard.append)
    pipeline.process(black(0))
    assert [len(one.poses) for one in heard] == [1]
