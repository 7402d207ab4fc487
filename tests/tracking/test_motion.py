# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""How far people have moved by their poses: exactly where the poses are exact, unknown where they are not sure."""

from __future__ import annotations

import weakref

import numpy as np
import pytest

from sdtc_ros.tracking.motion import JOINTS, LONGEST, MOST, SPAN, SURE, Motion
from sdtc_ros.types import Frame, FramePoses, Pose

STEP = 33_333_333  # nanoseconds
SHAPE = np.random.default_rng(0).uniform(-30, 30, (15, 2))


def answer(number: int, places: dict[int, tuple[float, float]], sure: int = 15, joints: int = 15) -> FramePoses:
    """The keyframe of frame `number`: people around (x, y) by id, of whose joints the first `sure` are believed."""
    poses = []
    for track, place in places.items():
        score = np.where(np.arange(joints) < sure, SURE + 0.01, SURE - 0.01)
        keypoints = np.column_stack([SHAPE[:joints] + place, score]).astype(np.float32)
        poses.append(Pose(track, np.zeros(4, np.float32), 1.0, keypoints, np.zeros((joints, 3), np.float32), 0.5))
    return FramePoses(Frame(np.zeros((2, 2, 3), np.uint8), number * STEP), poses)


def walk(number: float) -> tuple[float, float]:
    return 100 + 3.0 * number, 50 - 1.0 * number


def shifts(motion: Motion, number: int, *ids: int) -> np.ndarray:
    return motion.shifts(np.array(ids, np.int64), number * STEP)


@pytest.mark.parametrize(("newest", "now"), [(4, 6), (6, 8), (9, 9), (14, 16)])
def test_a_steady_walker_is_where_he_goes_however_late_the_poses_are(newest: int, now: int) -> None:
    """Detected in frame 5: before its pose is answered, when it has just been, and after."""
    motion = Motion()
    motion.detected(5 * STEP)
    for number in range(newest + 1):
        motion.add_poses(answer(number, {7: walk(number)}))
    np.testing.assert_allclose(shifts(motion, now, 7), [np.subtract(walk(now), walk(5))], atol=1e-3)


def test_swinging_limbs_and_other_people_do_not_count() -> None:
    """Seven joints of fifteen fly about; ids may come in any order, and one of them is a stranger's."""
    motion = Motion()
    motion.detected(0)
    for number in range(8):
        frame = answer(number, {7: walk(number), 2: (300 - 5 * number, 80)})
        frame.poses[0].keypoints[:7, :2] += 200 * np.random.default_rng(number).normal(size=(7, 2))
        frame.poses.reverse()
        motion.add_poses(frame)
    found = shifts(motion, 9, 2, 99, 7)
    np.testing.assert_allclose(found[0], [-45, 0], atol=1e-3)
    assert np.isnan(found[1]).all()
    assert np.abs(found[2] - (27, -9)).max() < 25  # one joint's flight is 200; the median of fifteen bears seven


def test_who_turned_back_is_followed_back() -> None:
    """Constant speed from detection to detection would have him at +15."""
    motion = Motion()
    motion.detected(0)
    for number in range(-6, 13):
        motion.add_poses(answer(number, {7: walk(number if number < 3 else 6 - number)}))
    assert -12 <= shifts(motion, 12, 7)[0, 0] - (walk(-6)[0] - walk(0)[0]) <= 0.01


@pytest.mark.parametrize("sure", [0, JOINTS - 1])
def test_too_few_sure_joints_tell_nothing(sure: int) -> None:
    motion = Motion()
    motion.detected(0)
    for number in range(8):
        motion.add_poses(answer(number, {7: walk(number)}, sure))
    assert np.isnan(shifts(motion, 9, 7)).all()


def test_without_a_sure_pose_in_the_detections_frame_the_speed_tells() -> None:
    motion = Motion()
    motion.detected(3 * STEP)
    for number in range(8):
        motion.add_poses(answer(number, {7: walk(number)}, 15 if number != 3 else 0))
    np.testing.assert_allclose(shifts(motion, 9, 7), [np.subtract(walk(9), walk(3))], atol=1e-3)


def test_old_poses_tell_nothing_of_now_nor_late_ones_of_before() -> None:
    motion = Motion()
    assert np.isnan(shifts(motion, 1, 7)).all()
    for number in range(8):
        motion.add_poses(answer(number, {7: walk(number)}))
    motion.detected(7 * STEP)
    assert not np.isnan(motion.shifts(np.array([7]), 7 * STEP + LONGEST)).any()
    assert np.isnan(motion.shifts(np.array([7]), 7 * STEP + LONGEST + 1)).all()
    assert np.isnan(motion.shifts(np.array([7]), 6 * STEP)).all()


def test_the_detections_pose_is_kept_beyond_the_span_and_nothing_else_is() -> None:
    """Far between detections the shift is still measured from the detection; memory stays small, images go."""
    motion = Motion()
    motion.detected(10 * STEP)
    first = answer(0, {7: walk(0)})
    image = weakref.ref(first.frame.image)
    motion.add_poses(first)
    del first
    assert image() is None
    for number in range(1, 1000):
        # the last stretch is twice as fast: a shift by speed alone would be too far
        motion.add_poses(answer(number, {7: walk(number if number < 985 else 2 * number - 984)}))
    np.testing.assert_allclose(shifts(motion, 999, 7), [np.subtract(walk(2 * 999 - 984), walk(10))], rtol=1e-4)
    assert len(motion._found) <= SPAN // STEP + 3


@pytest.mark.parametrize("step", [0, 1, 1_000_000])
def test_stamps_that_stand_still_or_creep_keep_memory_and_time_small(step: int) -> None:
    motion = Motion()
    for number in range(400):
        motion.detected(5 + number * step)
        one = answer(0, {7: walk(number)})
        motion.add_poses(FramePoses(Frame(one.frame.image, 5 + number * step), one.poses))
    assert len(motion._found) <= MOST + 2
    assert (len(motion._found) == 1) == (step == 0)


def test_only_the_last_moments_tell_the_speed() -> None:
    """Who walked for a second and has stood for four tenths is expected to stand."""
    motion = Motion()
    stood = 30 + 400_000_000 // STEP
    motion.detected(stood * STEP)
    for number in range(stood):
        motion.add_poses(answer(number, {7: walk(min(number, 30))}))
    np.testing.assert_allclose(shifts(motion, stood + 4, 7), [[0, 0]], atol=1e-3)


def test_another_models_joints_are_not_compared() -> None:
    """After a reload poses may have other joints; nothing is known until there are two of the new ones."""
    motion = Motion()
    motion.detected(0)
    for number in range(4):
        motion.add_poses(answer(number, {7: walk(number)}))
    motion.add_poses(answer(4, {7: walk(4)}, joints=14))
    assert np.isnan(shifts(motion, 6, 7)).all()
    motion.add_poses(answer(5, {7: walk(5)}, joints=14))
    np.testing.assert_allclose(shifts(motion, 6, 7), [np.subtract(walk(6), walk(0))], atol=1e-3)
