# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Two tracks' poses of the same person: the better one is left, where the boxes were found and not given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fake_bundle import make_bundle

from sdtc_ros.pipeline.duplicates import NEAR, SHARE, without_duplicates
from sdtc_ros.pipeline.pipeline import Pipeline, PipelineConfig
from sdtc_ros.tracking.tracker import TrackingConfig
from sdtc_ros.types import Boxes, Frame, Pose

JOINTS, HEIGHT = 15, 100.0
PLACES = np.random.default_rng(0).uniform(0, HEIGHT, (JOINTS, 2)).astype(np.float32)


def pose(track: int, score: float, places: np.ndarray) -> Pose:
    keypoints = np.concatenate([places, np.full((JOINTS, 1), score)], axis=1).astype(np.float32)
    box = np.array([0, 0, 40, HEIGHT], np.float32)
    return Pose(track, box, 1.0, keypoints, np.ones((JOINTS, 3), np.float32), score)


def tracks(poses: list[Pose]) -> list[int]:
    return [one.track_id for one in poses]


def test_of_three_poses_of_one_person_the_best_is_left_and_a_neighbour_stays() -> None:
    near, beside = PLACES + np.float32(0.5 * NEAR * HEIGHT), PLACES + np.float32(30)
    poses = [pose(1, 0.4, PLACES), pose(2, 0.6, beside), pose(3, 0.7, near), pose(4, 0.5, PLACES)]
    assert tracks(without_duplicates(poses)) == [2, 3]
    assert without_duplicates([]) == [] and tracks(without_duplicates(poses[:1])) == [1]


@pytest.mark.parametrize(("alike", "left"), [(round(SHARE * JOINTS), [2]), (round(SHARE * JOINTS) - 1, [1, 2])])
def test_two_poses_are_one_from_two_thirds_of_the_joints_on(alike: int, left: list[int]) -> None:
    places = PLACES + np.float32(30)
    places[:alike] = PLACES[:alike]
    assert tracks(without_duplicates([pose(1, 0.5, PLACES), pose(2, 0.6, places)])) == left


def test_whom_a_third_one_beat_beats_nobody() -> None:
    step = np.float32(0.9 * NEAR * HEIGHT)  # the first and the last are too far apart to be one
    poses = [pose(n, score, PLACES + [n * step, 0]) for n, score in enumerate((0.5, 0.6, 0.7))]
    assert tracks(without_duplicates(poses)) == [0, 2]


@pytest.mark.parametrize(("given", "every_box", "people"), [(False, False, 1), (False, True, 2), (True, False, 2)])
def test_only_people_who_were_found_can_be_found_twice(
    tmp_path: Path, given: bool, every_box: bool, people: int
) -> None:
    """A box that was given has its pose, and so has every box of the papers' protocol."""
    boxes = Boxes(np.array([[40, 20, 30, 80], [42, 20, 30, 80]], np.float32), np.array([0.9, 0.8], np.float32))
    config = PipelineConfig(lookahead=0, tracking=TrackingConfig(keep_untracked=every_box))
    pipeline = Pipeline.from_bundle(make_bundle(tmp_path).folder, config, detector=lambda image: boxes)
    answer = pipeline.process(Frame(np.zeros((120, 160, 3), np.uint8), 0), boxes if given else None)
    assert answer is not None and len(answer.poses) == people
    assert answer.poses[0].box_score == pytest.approx(0.9)
