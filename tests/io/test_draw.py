# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Drawing: changes what it should, leaves what it should, and survives poses far outside the image."""

from __future__ import annotations

import numpy as np
import pytest

from sdtc_ros.colours import LEFT, MIDDLE, RIGHT, joint_colours
from sdtc_ros.io.draw import draw_poses
from sdtc_ros.skeleton import COCO, HIEVE, POSETRACK, Skeleton
from sdtc_ros.types import Frame, FramePoses, Pose


def result(skeleton: Skeleton, score: float = 0.9, offset: float = 0.0) -> FramePoses:
    """One person with joints spread over a box in a grey image."""
    rng = np.random.default_rng(0)
    count = len(skeleton)
    points = np.column_stack([rng.uniform(60, 140, count), rng.uniform(40, 200, count), np.full(count, score)])
    points[:, :2] += offset
    box = np.array([60 + offset, 40 + offset, 80, 160], np.float32)
    pose = Pose(3, box, 0.9, points.astype(np.float32), np.ones((count, 3), np.float32), 0.8)
    return FramePoses(Frame(np.full((240, 320, 3), 128, np.uint8), 0), [pose])


@pytest.mark.parametrize("skeleton", [POSETRACK, HIEVE, COCO])
def test_joints_are_drawn_where_they_are_on_a_copy(skeleton: Skeleton) -> None:
    poses = result(skeleton)
    image = draw_poses(poses, skeleton)
    assert (poses.frame.image == 128).all()
    for x, y, _ in poses.poses[0].keypoints:
        assert (image[round(float(y)), round(float(x))] != 128).any()
    assert (image[:20, 200:] == 128).all()


def test_in_place_draws_on_the_frame_itself() -> None:
    poses = result(POSETRACK)
    assert draw_poses(poses, POSETRACK, in_place=True) is poses.frame.image


def test_unsure_joints_are_left_out_and_fade() -> None:
    """Nothing of a pose under the threshold but its box; and a weaker pose is darker."""
    only_box = draw_poses(result(POSETRACK, score=0.01), POSETRACK)
    assert (only_box[60:180, 70:130] == 128).all()
    assert (draw_poses(result(POSETRACK, score=0.01), POSETRACK, boxes=False) == 128).all()
    strong, weak = (draw_poses(result(POSETRACK, s), POSETRACK, boxes=False).max() for s in (1.0, 0.1))
    assert strong > weak


def test_sides_have_their_colours() -> None:
    colours = dict(zip(POSETRACK.joints, joint_colours(POSETRACK), strict=True))
    assert (colours["left_knee"], colours["right_knee"], colours["nose"]) == (LEFT, RIGHT, MIDDLE)


@pytest.mark.parametrize("offset", [-1e9, 1e9, float("nan")])
def test_poses_outside_the_image_do_not_crash(offset: float) -> None:
    assert draw_poses(result(POSETRACK, offset=offset), POSETRACK).shape == (240, 320, 3)


def test_an_image_of_a_few_pixels() -> None:
    poses = result(POSETRACK)
    tiny = FramePoses(Frame(np.zeros((3, 2, 3), np.uint8), 0), poses.poses)
    assert draw_poses(tiny, POSETRACK).shape == (3, 2, 3)
