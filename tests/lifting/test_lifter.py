# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
import numpy as np
import pytest

from sdtc_ros.errors import InputError, UsageError
from sdtc_ros.lifting.body import body_of
from sdtc_ros.lifting.choice import Expected, choose_surfaces
from sdtc_ros.lifting.lifter import Lifter, LiftingConfig
from sdtc_ros.lifting.poses3d import OBSERVED, PROPAGATED, UNKNOWN
from sdtc_ros.lifting.size import depth_by_size
from sdtc_ros.skeleton import COCO, HIEVE, POSETRACK
from tests.lifting.bodies import CAMERA, depth_image, person, poses

HIP = POSETRACK.index("left_hip")
SECOND = 1_000_000_000


def lift(people, depth, **settings):
    return Lifter(POSETRACK, LiftingConfig(**settings)).lift(poses(people), depth, CAMERA).people


def errors(truth, found):
    return np.linalg.norm(found.joints - truth, axis=1)


@pytest.mark.parametrize("distance", [2.0, 3.0, 4.0])
def test_a_person_alone_is_found_within_millimetres(distance):
    truth = person(0.1, distance)
    (found,) = lift([truth], depth_image([truth]))
    assert (found.states == OBSERVED).all()
    assert errors(truth, found).mean() < 0.01
    assert errors(truth, found).max() < 0.05
    np.testing.assert_array_equal(found.scores, found.pose.keypoints[:, 2])


def test_noise_and_holes_cost_a_centimetre():
    truth, rng = person(0, 3), np.random.default_rng(0)
    depth = depth_image([truth])
    depth += rng.normal(0, 0.004 * depth**2).astype(np.float32)
    depth[rng.random(depth.shape) < 0.3] = 0
    (found,) = lift([truth], depth)
    seen = found.states == OBSERVED
    assert seen.sum() >= 14
    assert errors(truth, found)[seen].mean() < 0.03


def test_a_limb_before_an_occluder_and_one_behind_it_are_told_apart():
    front, behind = person(0, 2), person(0.5, 3)
    depth = depth_image([front, behind])
    first, second = lift([front, behind], depth)
    assert errors(front, first).max() < 0.05
    assert np.nanmax(errors(behind, second)) < 0.05  # no joint of the rear person lies on the front one
    x, y = np.rint(second.pose.keypoints[:, :2]).astype(int).T
    covered = depth[y, x] < 2.5
    assert covered.any()
    assert (second.states[covered] == UNKNOWN).all()


def test_legs_behind_a_board_are_unknown_and_not_on_the_board():
    truth = person(0, 3)
    depth = depth_image([truth])
    depth[300:] = 1.5
    (found,) = lift([truth], depth)
    pixels = found.pose.keypoints[:, 1]
    assert (found.states[pixels > 310] == UNKNOWN).all()
    assert np.isnan(found.joints[pixels > 310]).all()
    assert (found.scores[pixels > 310] == 0).all()
    assert (found.states[pixels < 290] == OBSERVED).all()


def test_whoever_walks_behind_somebody_stays_behind():
    front, behind = person(0.1, 2), person(0.1, 4.5)
    lifter = Lifter(POSETRACK)
    lifter.lift(poses([behind], SECOND), depth_image([behind]), CAMERA)
    covered = depth_image([behind, front])
    covered[covered > 3] = 2.2  # nothing of him is left to see
    (found,) = lifter.lift(poses([behind], SECOND + SECOND // 10), covered, CAMERA).people
    assert not (found.states == OBSERVED).any()
    assert np.nanmax(errors(behind, found)) < 0.1


def test_somebody_new_whose_torso_is_covered_is_where_his_size_says():
    truth = person(0.1, 4.0)
    depth = depth_image([truth])
    top = int(poses([truth]).poses[0].keypoints[POSETRACK.index("head_bottom"), 1])
    depth[top:280] = 1.8  # all but head and legs
    (found,) = lift([truth], depth)
    seen = found.states == OBSERVED
    assert seen.any()
    assert np.abs(found.joints[seen, 2] - 4.0).max() < 0.3


def test_somebody_behind_whom_a_few_joints_show_is_not_taken_for_who_covers_him():
    truth = person(0.1, 3.6)
    depth = depth_image([truth])
    rows = poses([truth]).poses[0].keypoints[:, 1]
    top, bottom = rows[POSETRACK.index("left_shoulder")] - 12, rows[POSETRACK.index("left_knee")] - 10
    depth[int(top) : int(bottom)] = 2.8  # all between neck and knees, by something as near as he might be
    (found,) = lift([truth], depth)
    shown = [POSETRACK.index(joint) for joint in ("head_top", "left_ankle", "right_ankle")]
    assert (found.states[shown] == OBSERVED).all()
    assert np.abs(found.joints[shown] - truth[shown])[:, 2].max() < 0.05


def test_somebody_new_all_of_whom_is_covered_is_not_at_the_place_of_who_covers_him():
    front, behind = person(0.1, 2.5), person(0.14, 3.4, y=0.25)
    depth = depth_image([front])
    first, second = lift([front, behind], depth)
    assert (first.states == OBSERVED).all()
    assert errors(front, first).max() < 0.05
    assert not (second.joints[:, 2] < 2.8).any()  # unknown, or whatever is behind the other


def test_a_joint_in_plain_view_is_observed_though_its_bone_is_too_long():
    body, truth = body_of(POSETRACK), person(0, 3)
    ankle = POSETRACK.index("left_ankle")
    expected = truth[None].copy()
    expected[0, ankle, 2] -= 0.5  # taken for something nearer before
    truth[ankle, 2] += 0.45
    past = Expected(expected[..., 2], np.full((1, len(truth)), 0.12), expected, np.array([3.0]))
    chosen = choose_surfaces(truth[None, :, None], np.ones((1, len(truth), 1)), past, body.lengths[None], body)
    assert (chosen == 0).all()


def test_a_small_child_is_where_all_joints_see_it():
    middle = person(0, 3).mean(axis=0)
    truth = (person(0, 3) - middle) * 0.5 + middle
    (found,) = lift([truth], depth_image([truth]))
    assert (found.states == OBSERVED).all()
    assert np.abs(found.joints[:, 2] - 3.0).max() < 0.35


@pytest.mark.parametrize(("scale", "distance"), [(1.0, 2.0), (1.0, 5.0), (0.6, 3.0)])
def test_size_says_how_far_an_adult_is(scale, distance):
    result = poses([person(0, distance) * scale])  # as seen: of half the size at half the distance
    keypoints = np.stack([pose.keypoints for pose in result.poses]).astype(float)
    (found,) = depth_by_size(keypoints, 0.05, 525.0, body_of(POSETRACK))
    assert found == pytest.approx(distance, rel=0.2)
    keypoints[..., 2] = 0
    assert np.isnan(depth_by_size(keypoints, 0.05, 525.0, body_of(POSETRACK))).all()


def test_what_is_occluded_for_a_moment_is_propagated_then_unknown():
    truth, lifter = person(0, 3), Lifter(POSETRACK, LiftingConfig(max_carry=0.25))
    clear = depth_image([truth])
    board = clear.copy()
    board[300:] = 1.5
    before = lifter.lift(poses([truth], SECOND), clear, CAMERA).people[0]
    during = lifter.lift(poses([truth], SECOND + SECOND // 5), board, CAMERA).people[0]
    after = lifter.lift(poses([truth], SECOND + SECOND // 2), board, CAMERA).people[0]
    below = during.pose.keypoints[:, 1] > 310
    assert (during.states[below] == PROPAGATED).all()
    assert errors(truth, during)[below].max() < 0.03
    assert (during.covariances[below, 2, 2] > 10 * before.covariances[below, 2, 2]).all()
    assert (after.states[below] == UNKNOWN).all()


def test_without_depth_joints_are_propagated_only():
    truth, lifter = person(0, 3), Lifter(POSETRACK)
    assert (lifter.lift(poses([truth], SECOND), None, CAMERA).people[0].states == UNKNOWN).all()
    lifter.lift(poses([truth], SECOND), depth_image([truth]), CAMERA)
    later = lifter.lift(poses([truth], SECOND + SECOND // 10), None, CAMERA).people[0]
    assert (later.states == PROPAGATED).all()
    lifter.reset()
    assert (lifter.lift(poses([truth], SECOND), None, CAMERA).people[0].states == UNKNOWN).all()


@pytest.mark.parametrize("value", [0, np.nan, np.inf, 60.0])
def test_depth_that_says_nothing_gives_nothing(value):
    (found,) = lift([person(0, 3)], np.full((480, 640), value, np.float32))
    assert (found.states == UNKNOWN).all()
    assert np.isnan(found.joints).all()
    assert np.isnan(found.covariances).all()


def test_covariance_is_the_pixels_across_and_the_depths_along_the_ray():
    truth = person(0, 3)
    (found,) = lift([truth], depth_image([truth]))
    matrix = found.covariances[HIP]
    assert (np.linalg.eigvalsh(found.covariances) > 0).all()
    assert np.sqrt(matrix[0, 0]) == pytest.approx(3.0 * truth[HIP, 2] / 525, rel=0.05)  # 3 pixels at 3 metres
    assert 0.02 < np.sqrt(matrix[2, 2]) < 0.06


def test_a_joint_scored_too_low_is_unknown():
    truth, result = person(0, 3), poses([person(0, 3)])
    result.poses[0].keypoints[HIP, 2] = 0.01
    (found,) = Lifter(POSETRACK).lift(result, depth_image([truth]), CAMERA).people
    assert found.states[HIP] == UNKNOWN


def test_joints_outside_the_image_or_not_finite_are_unknown():
    truth, result = person(0, 3), poses([person(0, 3)])
    result.poses[0].keypoints[HIP, :2] = -50, 1e12
    result.poses[0].keypoints[0, :2] = np.nan
    (found,) = Lifter(POSETRACK).lift(result, depth_image([truth]), CAMERA).people
    assert found.states[HIP] == found.states[0] == UNKNOWN


def test_nobody_is_nobody_and_another_size_is_refused():
    lifter = Lifter(POSETRACK)
    assert lifter.lift(poses([]), depth_image([]), CAMERA).people == []
    with pytest.raises(InputError, match="320 x 240 but the colour image 640 x 480"):
        lifter.lift(poses([person(0, 3)]), np.ones((240, 320), np.float32), CAMERA)


def test_settings_without_sense_are_refused():
    with pytest.raises(UsageError, match="max_carry"):
        LiftingConfig(max_carry=-1)
    with pytest.raises(UsageError, match="max_range"):
        LiftingConfig(max_range=0)


@pytest.mark.parametrize("skeleton", [POSETRACK, COCO, HIEVE])
def test_every_joint_of_every_skeleton_is_in_one_tree(skeleton):
    body = body_of(skeleton)
    children = [child for _, child in body.edges]
    assert sorted([*children, *body.roots]) == list(range(len(skeleton)))
    known = set(body.roots)
    for parent, child in body.edges:
        assert parent in known  # parents come before their children
        known.add(child)
    assert len(body.roots) == 1
