# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A frame's poses as a Detection2DArray and back: the documented layout, and nothing lost on the way."""

import numpy as np
import pytest

from sdtc_ros.bag import bag_message_types, typestore
from sdtc_ros.errors import InputError
from sdtc_ros.messages import POSES_TYPE, poses_from_message, to_detections
from sdtc_ros.poses import Frame, FramePoses, Pose
from sdtc_ros.skeleton import COCO, HIEVE, POSETRACK

STAMP = 1_763_700_000_123_456_789


def some_pose(track_id: int, joints: int, seed: int = 0) -> Pose:
    rng = np.random.default_rng(seed + track_id)
    keypoints = rng.uniform(0, 640, (joints, 3)).astype(np.float32)
    keypoints[:, 2] = rng.uniform(0, 1, joints)
    spread = rng.uniform(1, 9, (joints, 3)).astype(np.float32)
    box = np.array([10.25 + track_id, 20.5, 100.75, 200.125], np.float32)
    return Pose(track_id, box, 0.9, keypoints, spread, float(keypoints[:, 2].mean() * 0.9))


def frame_poses(count: int, joints: int = 15) -> FramePoses:
    frame = Frame(np.zeros((4, 4, 3), np.uint8), STAMP, "camera_optical")
    return FramePoses(frame, [some_pose(7 + 3 * i, joints) for i in range(count)])


@pytest.mark.parametrize("skeleton", [POSETRACK, HIEVE, COCO], ids=lambda s: s.name)
def test_round_trip_through_serialized_bytes_is_exact(skeleton):
    given = frame_poses(3, len(skeleton))
    message = to_detections(given, skeleton, bag_message_types())
    data = typestore().serialize_cdr(message, POSES_TYPE)
    arrays = poses_from_message(typestore().deserialize_cdr(data, POSES_TYPE))
    assert (arrays.stamp, arrays.frame_id, arrays.joints) == (STAMP, "camera_optical", skeleton.joints)
    assert arrays.track_ids.tolist() == [7, 10, 13]
    for i, pose in enumerate(given.poses):
        assert np.array_equal(arrays.keypoints[i], pose.keypoints)
        assert np.array_equal(arrays.spread[i], pose.spread)
        assert np.array_equal(arrays.boxes[i], pose.box)
        assert arrays.scores[i] == np.float32(pose.score)


def test_layout_is_the_documented_one():
    given = frame_poses(1)
    message = to_detections(given, POSETRACK, bag_message_types())
    person, pose = message.detections[0], given.poses[0]
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (1_763_700_000, 123_456_789)
    assert person.header == message.header
    assert person.id == "7"
    assert (person.bbox.size_x, person.bbox.size_y, person.bbox.center.theta) == (100.75, 200.125, 0)
    assert (person.bbox.center.position.x, person.bbox.center.position.y) == (17.25 + 100.75 / 2, 20.5 + 200.125 / 2)
    first = person.results[0]
    assert (first.hypothesis.class_id, first.hypothesis.score) == ("person", pose.score)
    assert first.pose.pose.position.x == person.bbox.center.position.x
    assert [r.hypothesis.class_id for r in person.results[1:]] == list(POSETRACK.joints)
    nose = person.results[1]
    assert [nose.pose.pose.position.x, nose.pose.pose.position.y, nose.hypothesis.score] == pose.keypoints[0].tolist()
    covariance = nose.pose.covariance.reshape(6, 6)
    assert covariance[:2, :2].tolist() == [pose.spread[0, [0, 1]].tolist(), pose.spread[0, [1, 2]].tolist()]
    assert np.count_nonzero(covariance) == 4
    assert nose.pose.pose.orientation.w == 1


def test_nobody_is_a_message_too():
    arrays = poses_from_message(to_detections(frame_poses(0), POSETRACK, bag_message_types()))
    assert len(arrays) == 0
    assert arrays.stamp == STAMP
    assert (arrays.boxes.shape, arrays.keypoints.shape) == ((0, 4), (0, 0, 3))


def test_detections_of_someone_else_are_refused():
    message = to_detections(frame_poses(1), POSETRACK, bag_message_types())
    message.detections[0].results.pop(0)
    with pytest.raises(InputError, match="is no pose of sdtc_ros"):
        poses_from_message(message)


def test_mixed_skeletons_are_refused():
    message = to_detections(frame_poses(2), POSETRACK, bag_message_types())
    message.detections[0].results.pop()
    with pytest.raises(InputError, match="different joints"):
        poses_from_message(message)
