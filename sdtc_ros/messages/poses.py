# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Poses as a vision_msgs/Detection2DArray, and back to arrays.

One `Detection2D` a person: `id` the track id, `bbox` the box, `results[0]` the person (class_id 'person', the pose's
score, the box centre), then one `ObjectHypothesisWithPose` a joint in skeleton order: `class_id` its name, `score` its
confidence, `pose.position.x/y` in image pixels, in the covariance the heatmap's own (xx, xy, yy in
pixels squared). The header is the keyframe's. Works on ROS's own Python messages and on a bag library's alike: it only
builds from keywords and reads attributes.

A receiver needs two calls of these: `poses_from_message` gives arrays, `message_from_poses` a message again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from sdtc_ros.errors import InputError
from sdtc_ros.messages.typestore import typestore
from sdtc_ros.skeleton import Skeleton
from sdtc_ros.types import FramePoses

FloatArray = npt.NDArray[np.float32]

POSES_TOPIC = "/sdtc/poses"
POSES_TYPE = "vision_msgs/msg/Detection2DArray"
PERSON = "person"


@dataclass(frozen=True)
class MessageTypes:
    """The message classes that a pose message is made of."""

    time: Any
    header: Any
    point: Any
    quaternion: Any
    pose: Any
    pose_with_covariance: Any
    point2d: Any
    pose2d: Any
    bounding_box: Any
    hypothesis: Any
    hypothesis_with_pose: Any
    detection: Any
    detection_array: Any


def message_types(lookup: Callable[[str], Any]) -> MessageTypes:
    """The classes that `lookup` gives for type names such as 'vision_msgs/msg/Detection2D'."""
    return MessageTypes(
        time=lookup("builtin_interfaces/msg/Time"),
        header=lookup("std_msgs/msg/Header"),
        point=lookup("geometry_msgs/msg/Point"),
        quaternion=lookup("geometry_msgs/msg/Quaternion"),
        pose=lookup("geometry_msgs/msg/Pose"),
        pose_with_covariance=lookup("geometry_msgs/msg/PoseWithCovariance"),
        point2d=lookup("vision_msgs/msg/Point2D"),
        pose2d=lookup("vision_msgs/msg/Pose2D"),
        bounding_box=lookup("vision_msgs/msg/BoundingBox2D"),
        hypothesis=lookup("vision_msgs/msg/ObjectHypothesis"),
        hypothesis_with_pose=lookup("vision_msgs/msg/ObjectHypothesisWithPose"),
        detection=lookup("vision_msgs/msg/Detection2D"),
        detection_array=lookup(POSES_TYPE),
    )


def ros_message(type_name: str) -> Any:
    """A message class of the sourced ROS 2 installation: `message_types(ros_message)` serves the live node."""
    package, kind, name = type_name.split("/")
    return getattr(import_module(f"{package}.{kind}"), name)


@dataclass(frozen=True, eq=False)
class PoseArrays:
    """A pose message as arrays, N people of K joints.

    stamp: nanoseconds; track_ids: N int64; boxes: N x 4 float32 (left, top, width, height; image pixels); scores: N
    float32; keypoints: N x K x 3 float32 (x, y in image pixels, score); covariance: N x K x 3 float32 (xx, xy,
    yy in image pixels squared); joints: the K names (none where there is nobody in the message).
    """

    stamp: int
    frame_id: str
    joints: tuple[str, ...]
    track_ids: npt.NDArray[np.int64]
    boxes: FloatArray
    scores: FloatArray
    keypoints: FloatArray
    covariance: FloatArray

    def __len__(self) -> int:
        return len(self.track_ids)


class HeaderTypes(Protocol):
    """Whatever knows the classes that a header is made of."""

    @property
    def time(self) -> Any:
        """builtin_interfaces/Time."""

    @property
    def header(self) -> Any:
        """std_msgs/Header."""


def to_header(stamp: int, frame_id: str, types: HeaderTypes) -> Any:
    """A std_msgs/Header of a stamp in nanoseconds."""
    seconds, nanoseconds = divmod(int(stamp), 1_000_000_000)
    return types.header(stamp=types.time(sec=seconds, nanosec=nanoseconds), frame_id=frame_id)


def stamp_of(header: Any) -> int:
    """A header's stamp in nanoseconds."""
    return int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)


def to_detections(frame_poses: FramePoses, skeleton: Skeleton, types: MessageTypes) -> Any:
    """The poses of one keyframe as a Detection2DArray under the keyframe's stamp and frame_id."""
    frame = frame_poses.frame
    header = to_header(frame.stamp, frame.frame_id, types)
    return types.detection_array(
        header=header,
        detections=[
            _to_detection(
                pose.track_id, pose.box.tolist(), float(pose.score), skeleton.joints, pose.keypoints.tolist(),
                pose.covariance.tolist(), header, types,
            )
            for pose in frame_poses.poses
        ],
    )  # fmt: skip


def message_from_poses(poses: PoseArrays, types: MessageTypes | None = None) -> Any:
    """The Detection2DArray of these arrays, the exact inverse of `poses_from_message`.

    types: the message classes; without them ROS's own, where a ROS 2 installation is sourced, else the bag library's.
    Raises InputError where the arrays do not fit each other.
    """
    _check_shapes(poses)
    types = types or _types_at_hand()
    header = to_header(poses.stamp, poses.frame_id, types)
    people = zip(
        poses.track_ids.tolist(), poses.boxes.tolist(), poses.scores.tolist(), poses.keypoints.tolist(),
        poses.covariance.tolist(), strict=True,
    )  # fmt: skip
    return types.detection_array(
        header=header,
        detections=[
            _to_detection(track_id, box, score, poses.joints, keypoints, covariance, header, types)
            for track_id, box, score, keypoints, covariance in people
        ],
    )


def _check_shapes(poses: PoseArrays) -> None:
    count, joints = len(poses.track_ids), len(poses.joints)
    expected = {"boxes": (count, 4), "scores": (count,), "keypoints": (count, joints, 3)}
    expected["covariance"] = expected["keypoints"]
    for name, shape in expected.items():
        if getattr(poses, name).shape != shape and count:
            raise InputError(
                f"'{name}' of shape {getattr(poses, name).shape} do not fit {count} people of {joints} joints: "
                f"{shape} is needed"
            )


def _types_at_hand() -> MessageTypes:
    try:
        return message_types(ros_message)
    except ImportError:
        return message_types(lambda name: typestore().types[name])


def _to_detection(
    track_id: int,
    box: Sequence[float],
    score: float,
    joints: Sequence[str],
    keypoints: Sequence[Sequence[float]],
    covariances: Sequence[Sequence[float]],
    header: Any,
    types: MessageTypes,
) -> Any:
    left, top, width, height = box
    x, y = left + width / 2, top + height / 2
    centre = types.pose2d(position=types.point2d(x=x, y=y), theta=0.0)
    results = [to_hypothesis(PERSON, score, (x, y, 0.0), np.zeros(36), types)]
    for name, (px, py, confidence), (xx, xy, yy) in zip(joints, keypoints, covariances, strict=True):
        covariance = np.zeros(36)
        covariance[[0, 1, 6, 7]] = xx, xy, xy, yy
        results.append(to_hypothesis(name, confidence, (px, py, 0.0), covariance, types))
    return types.detection(
        header=header,
        results=results,
        bbox=types.bounding_box(center=centre, size_x=width, size_y=height),
        id=str(int(track_id)),
    )


def to_hypothesis(
    name: str, score: float, place: Sequence[float], covariance: npt.NDArray[np.float64], types: MessageTypes
) -> Any:
    """The person or a joint as an ObjectHypothesisWithPose.

    place: x, y, z; covariance: the 36 numbers of the 6 x 6, row by row: x, y, z and three rotations.
    """
    return types.hypothesis_with_pose(
        hypothesis=types.hypothesis(class_id=name, score=score),
        pose=types.pose_with_covariance(pose=to_pose(place, types), covariance=covariance),
    )


def to_pose(place: Sequence[float], types: MessageTypes) -> Any:
    """A geometry_msgs/Pose at x, y, z, not turned."""
    x, y, z = place
    return types.pose(position=types.point(x=x, y=y, z=z), orientation=types.quaternion(x=0.0, y=0.0, z=0.0, w=1.0))


def poses_from_message(message: Any) -> PoseArrays:
    """A Detection2DArray of this layout as arrays; raises InputError for one of another layout."""
    people = [_from_detection(detection) for detection in message.detections]
    joints = people[0][0] if people else ()
    if any(names != joints for names, *_ in people):
        raise InputError("the people in one pose message have different joints")
    count = len(people)
    return PoseArrays(
        stamp=stamp_of(message.header),
        frame_id=str(message.header.frame_id),
        joints=joints,
        track_ids=np.array([person[1] for person in people], np.int64),
        boxes=np.array([person[2] for person in people], np.float32).reshape(count, 4),
        scores=np.array([person[3] for person in people], np.float32),
        keypoints=np.array([person[4] for person in people], np.float32).reshape(count, len(joints), 3),
        covariance=np.array([person[5] for person in people], np.float32).reshape(count, len(joints), 3),
    )


def _from_detection(detection: Any) -> tuple[tuple[str, ...], int, list[float], float, list[Any], list[Any]]:
    """Joint names, track id, box (xywh), score, keypoints (x, y, score), covariance (xx, xy, yy) of one person."""
    track_id = track_id_of(detection)
    results = detection.results
    bbox, joints = detection.bbox, results[1:]
    centre = bbox.center.position
    return (
        tuple(str(joint.hypothesis.class_id) for joint in joints),
        track_id,
        [centre.x - bbox.size_x / 2, centre.y - bbox.size_y / 2, bbox.size_x, bbox.size_y],
        float(results[0].hypothesis.score),
        [[joint.pose.pose.position.x, joint.pose.pose.position.y, joint.hypothesis.score] for joint in joints],
        [[joint.pose.covariance[0], joint.pose.covariance[1], joint.pose.covariance[7]] for joint in joints],
    )


def track_id_of(detection: Any) -> int:
    """The track id of a Detection2D or Detection3D of ours; raises InputError for any other detection."""
    results = detection.results
    if not results or results[0].hypothesis.class_id != PERSON or not re.fullmatch(r"-?[0-9]{1,18}", detection.id):
        raise InputError(
            f"a detection with id '{detection.id}' is not a pose of sdtc_ros: it needs a number as its id "
            f"and '{PERSON}' as its first result"
        )
    return int(detection.id)
