# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A frame's poses as a Detection2DArray and back: the documented layout, and nothing lost on the way."""

from dataclasses import replace

import numpy as np
import pytest

from sdtc_ros.errors import InputError, UsageError
from sdtc_ros.io.bag import BagWriter, bag_message_types, read_poses
from sdtc_ros.messages.poses import POSES_TYPE, PoseArrays, message_from_poses, poses_from_message, to_detections
from sdtc_ros.messages.typestore import typestore
from sdtc_ros.skeleton import COCO, HIEVE, POSETRACK
from sdtc_ros.types import Frame, FramePoses, Pose

STAMP = 1_763_700_000_123_456_789


def some_pose(track_id: int, joints: int, seed: int = 0) -> Pose:
    rng = np.random.default_rng(seed + track_id)
    keypoints = rng.uniform(0, 640, (joints, 3)).astype(np.float32)
    keypoints[:, 2] = rng.uniform(0, 1, joints)
    covariance = rng.uniform(1, 9, (joints, 3)).astype(np.float32)
    box = np.array([10.25 + track_id, 20.5, 100.75, 200.125], np.float32)
    return Pose(track_id, box, 0.9, keypoints, covariance, float(keypoints[:, 2].mean() * 0.9))


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
        assert np.array_equal(arrays.covariance[i], pose.covariance)
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
    assert covariance[:2, :2].tolist() == [pose.covariance[0, [0, 1]].tolist(), pose.covariance[0, [1, 2]].tolist()]
    assert np.count_nonzero(covariance) == 4
    assert nose.pose.pose.orientation.w == 1


def assert_same(one: PoseArrays, other: PoseArrays) -> None:
    assert (one.stamp, one.frame_id, one.joints) == (other.stamp, other.frame_id, other.joints)
    for name in ("track_ids", "boxes", "scores", "keypoints", "covariance"):
        ours, theirs = getattr(one, name), getattr(other, name)
        assert ours.dtype == theirs.dtype
        assert np.array_equal(ours, theirs), name


@pytest.mark.parametrize("people", [0, 1, 40])
def test_arrays_to_message_and_back_is_exact(people):
    rng = np.random.default_rng(people)
    arrays = PoseArrays(
        stamp=STAMP, frame_id="cam", joints=POSETRACK.joints if people else (),
        track_ids=rng.integers(-(2**40), 2**59, people),
        boxes=rng.uniform(-50, 4000, (people, 4)).astype(np.float32),
        scores=rng.uniform(0, 1, people).astype(np.float32),
        keypoints=rng.uniform(-50, 4000, (people, 15 if people else 0, 3)).astype(np.float32),
        covariance=rng.uniform(-90, 900, (people, 15 if people else 0, 3)).astype(np.float32),
    )  # fmt: skip
    message = message_from_poses(arrays, bag_message_types())
    assert_same(poses_from_message(message), arrays)
    data = typestore().serialize_cdr(message, POSES_TYPE)
    again = poses_from_message(typestore().deserialize_cdr(data, POSES_TYPE))
    assert_same(again, arrays)
    assert typestore().serialize_cdr(message_from_poses(again, bag_message_types()), POSES_TYPE) == data


def test_a_pose_message_survives_the_arrays():
    given = frame_poses(2)
    message = to_detections(given, POSETRACK, bag_message_types())
    again = message_from_poses(poses_from_message(message))  # of ROS's classes or the bag library's
    ankles = [one.detections[1].results[15].pose.pose.position for one in (again, message)]
    assert (ankles[0].x, ankles[0].y) == (ankles[1].x, ankles[1].y)
    assert_same(poses_from_message(again), poses_from_message(message))


def test_arrays_that_do_not_fit_are_refused():
    arrays = poses_from_message(to_detections(frame_poses(2), POSETRACK, bag_message_types()))
    with pytest.raises(InputError, match=r"'boxes' of shape \(1, 4\) do not fit 2 people of 15 joints"):
        message_from_poses(replace(arrays, boxes=arrays.boxes[:1]))


def test_poses_are_read_from_a_bag(tmp_path):
    with BagWriter(tmp_path / "bag") as bag:
        bag.write_poses(frame_poses(2), POSETRACK)
        bag.write_poses(replace(frame_poses(0), frame=Frame(np.zeros((4, 4, 3), np.uint8), STAMP + 1)), POSETRACK)
    read = list(read_poses(tmp_path / "bag"))
    assert [(len(poses), poses.stamp) for poses in read] == [(2, STAMP), (0, STAMP + 1)]
    assert np.array_equal(read[0].keypoints[1], frame_poses(2).poses[1].keypoints)
    with pytest.raises(UsageError, match=r"has no poses .* on /front/poses; its topics are: /sdtc/poses"):
        next(read_poses(tmp_path / "bag", "/front/poses"))


@pytest.mark.parametrize("wrong", ["", "seven", "--1", "7.0", "9" * 30])
def test_an_id_that_is_no_number_is_refused(wrong):
    message = to_detections(frame_poses(1), POSETRACK, bag_message_types())
    message.detections[0].id = wrong
    with pytest.raises(InputError, match=f"id '{wrong}' is not a pose of sdtc_ros"):
        poses_from_message(message)


def test_nobody_is_a_message_too():
    arrays = poses_from_message(to_detections(frame_poses(0), POSETRACK, bag_message_types()))
    assert len(arrays) == 0
    assert arrays.stamp == STAMP
    assert (arrays.boxes.shape, arrays.keypoints.shape) == ((0, 4), (0, 0, 3))


def test_detections_of_someone_else_are_refused():
    message = to_detections(frame_poses(1), POSETRACK, bag_message_types())
    message.detections[0].results.pop(0)
    with pytest.raises(InputError, match="is not a pose of sdtc_ros"):
        poses_from_message(message)


def test_mixed_skeletons_are_refused():
    message = to_detections(frame_poses(2), POSETRACK, bag_message_types())
    message.detections[0].results.pop()
    with pytest.raises(InputError, match="different joints"):
        poses_from_message(message)
