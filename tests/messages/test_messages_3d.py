# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
import numpy as np
import pytest

from sdtc_ros.errors import InputError
from sdtc_ros.lifting.lifter import Lifter
from sdtc_ros.lifting.transform import Transform, transformed
from sdtc_ros.messages.poses3d import POSES_3D_TYPE, poses_3d_from_message, to_detections_3d
from sdtc_ros.messages.typestore import typestore
from sdtc_ros.skeleton import POSETRACK
from tests.lifting.bodies import CAMERA, depth_image, person, poses


def lookup(name):
    return typestore().types[name]


def lifted(board=None):
    people = [person(-0.5, 3), person(0.6, 4)]
    depth = depth_image(people)
    if board is not None:
        depth[board:] = 1.0
    return Lifter(POSETRACK).lift(poses(people), depth, CAMERA)


def there_and_back(message):
    data = typestore().serialize_cdr(message, POSES_3D_TYPE)
    return poses_3d_from_message(typestore().deserialize_cdr(data, POSES_3D_TYPE))


def test_a_message_says_what_was_lifted_also_through_its_bytes():
    result = lifted(board=300)
    arrays = there_and_back(to_detections_3d(result, POSETRACK, lookup))
    assert arrays.stamp == result.source.frame.stamp
    assert arrays.frame_id == "camera"
    assert arrays.joints == POSETRACK.joints
    assert arrays.track_ids.tolist() == [1, 2]
    np.testing.assert_allclose(arrays.positions, [one.joints for one in result.people])
    np.testing.assert_allclose(arrays.joint_scores, [one.scores for one in result.people])
    np.testing.assert_allclose(arrays.covariances, [one.covariances for one in result.people])
    unknown = np.isnan(arrays.positions).all(axis=2)
    assert unknown.any()
    assert (arrays.joint_scores[unknown] == 0).all()


def test_the_box_is_around_the_known_joints():
    result = lifted()
    box = to_detections_3d(result, POSETRACK, lookup).detections[0].bbox
    joints = result.people[0].joints
    assert box.size.y == pytest.approx(np.ptp(joints[:, 1]), abs=1e-5)
    assert box.center.position.z == pytest.approx((joints[:, 2].min() + joints[:, 2].max()) / 2, abs=1e-5)


def test_people_of_whom_nothing_is_known_are_left_out():
    people = [person(0, 3)]
    nothing = Lifter(POSETRACK).lift(poses(people), np.zeros((480, 640), np.float32), CAMERA)
    message = to_detections_3d(nothing, POSETRACK, lookup, frame_id="map")
    assert message.detections == []
    assert message.header.frame_id == "map"
    assert len(there_and_back(message)) == 0


def test_another_layout_is_refused():
    message = to_detections_3d(lifted(), POSETRACK, lookup)
    message.detections[0].id = "somebody"
    with pytest.raises(InputError, match="somebody"):
        poses_3d_from_message(message)


def test_a_transform_moves_joints_and_turns_covariances():
    result = lifted()
    half = np.sqrt(0.5)
    # a quarter turn about z: x -> y, y -> -x; the quaternion need not have length 1
    turned = transformed(result, Transform.from_quaternion(0, 0, 2 * half, 2 * half, (1.0, 2.0, 3.0)))
    before, after = result.people[0], turned.people[0]
    x, y, z = before.joints.T
    np.testing.assert_allclose(after.joints, np.column_stack([1 - y, 2 + x, 3 + z]), atol=1e-5)
    np.testing.assert_allclose(after.covariances[:, 1, 1], before.covariances[:, 0, 0], rtol=1e-4)
    np.testing.assert_allclose(np.linalg.eigvalsh(after.covariances), np.linalg.eigvalsh(before.covariances), rtol=1e-3)
    assert before.joints is not after.joints
