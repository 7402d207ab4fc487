# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Joints in metres as a vision_msgs/Detection3DArray, and back to arrays.

Built like `/sdtc/poses` (see `poses`): one `Detection3D` a person, `id` the track id, `results[0]` the person (class_id
'person', the pose's score, the middle of the known joints), then one `ObjectHypothesisWithPose` a joint in skeleton
order: `pose.position` in metres in the header's frame, the 3 x 3 block of the covariance in metres squared. A joint
that is not known has a position of NaN and a score of 0; people of whom no joint is known are left out. `bbox` is the
box around the known joints, along the frame's axes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sdtc_ros.errors import InputError
from sdtc_ros.lifting.poses3d import FramePoses3D
from sdtc_ros.messages.poses import (
    PERSON,
    message_types,
    ros_message,
    stamp_of,
    to_header,
    to_hypothesis,
    to_pose,
    track_id_of,
)
from sdtc_ros.skeleton import Skeleton

FloatArray = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]

POSES_3D_TOPIC = "/sdtc/poses_3d"
POSES_3D_TYPE = "vision_msgs/msg/Detection3DArray"
_BLOCK = [0, 1, 2, 6, 7, 8, 12, 13, 14]  # x, y, z of the 6 x 6 covariance, row by row


@dataclass(frozen=True, eq=False)
class PoseArrays3D:
    """A message of poses in space as arrays, N people of K joints.

    stamp: nanoseconds; track_ids: N int64; scores: N float32; positions: N x K x 3 float64 metres in `frame_id`, NaN
    where unknown; joint_scores: N x K float32, 0 where unknown; covariances: N x K x 3 x 3 float64 metres squared, NaN
    where unknown; joints: the K names (none where there is nobody in the message).
    """

    stamp: int
    frame_id: str
    joints: tuple[str, ...]
    track_ids: npt.NDArray[np.int64]
    scores: FloatArray
    positions: Float64Array
    joint_scores: FloatArray
    covariances: Float64Array

    def __len__(self) -> int:
        return len(self.track_ids)


def to_detections_3d(
    lifted: FramePoses3D, skeleton: Skeleton, lookup: Callable[[str], Any] = ros_message, frame_id: str | None = None
) -> Any:
    """The people of a keyframe in space as a Detection3DArray under the keyframe's stamp.

    lookup: a message class by its type name; frame_id: the frame that the joints are in, the camera's by default.
    """
    types = message_types(lookup)
    detection, box = lookup("vision_msgs/msg/Detection3D"), lookup("vision_msgs/msg/BoundingBox3D")
    vector = lookup("geometry_msgs/msg/Vector3")
    frame = lifted.source.frame
    header = to_header(frame.stamp, frame.frame_id if frame_id is None else frame_id, types)
    detections = []
    for person in lifted.people:
        joints, covariances = person.joints.astype(np.float64), person.covariances.astype(np.float64)
        known = np.isfinite(joints).all(axis=1)
        if not known.any():
            continue
        low, high = joints[known].min(axis=0), joints[known].max(axis=0)
        centre, overall = joints[known].mean(axis=0), np.nanmean(covariances[known], axis=0)
        results = [to_hypothesis(PERSON, float(person.pose.score), centre.tolist(), _full(overall), types)]
        for name, score, place, covariance in zip(skeleton.joints, person.scores, joints, covariances, strict=True):
            results.append(to_hypothesis(name, float(score), place.tolist(), _full(covariance), types))
        middle, size = to_pose(((low + high) / 2).tolist(), types), dict(zip("xyz", (high - low).tolist(), strict=True))
        around = box(center=middle, size=vector(**size))
        detections.append(detection(header=header, results=results, bbox=around, id=str(person.pose.track_id)))
    return lookup(POSES_3D_TYPE)(header=header, detections=detections)


def poses_3d_from_message(message: Any) -> PoseArrays3D:
    """A Detection3DArray of this layout as arrays; raises InputError for one of another layout."""
    people = [_person(detection) for detection in message.detections]
    joints = people[0][0] if people else ()
    if any(person[0] != joints for person in people):
        raise InputError("the people in one pose message have different joints")
    shape = (len(people), len(joints))
    return PoseArrays3D(
        stamp=stamp_of(message.header),
        frame_id=str(message.header.frame_id),
        joints=joints,
        track_ids=np.array([person[1] for person in people], np.int64),
        scores=np.array([person[2] for person in people], np.float32),
        positions=np.array([person[3] for person in people], np.float64).reshape(*shape, 3),
        joint_scores=np.array([person[4] for person in people], np.float32).reshape(shape),
        covariances=np.array([person[5] for person in people], np.float64).reshape(*shape, 3, 3),
    )


def _person(detection: Any) -> tuple[tuple[str, ...], int, float, list[Any], list[float], list[Any]]:
    """Joint names, track id, score, positions, joint scores, covariances of one person."""
    track_id, joints = track_id_of(detection), detection.results[1:]
    positions = [joint.pose.pose.position for joint in joints]
    return (
        tuple(str(joint.hypothesis.class_id) for joint in joints),
        track_id,
        float(detection.results[0].hypothesis.score),
        [(place.x, place.y, place.z) for place in positions],
        [float(joint.hypothesis.score) for joint in joints],
        [np.asarray(joint.pose.covariance, np.float64)[_BLOCK] for joint in joints],
    )


def _full(block: Float64Array) -> Float64Array:
    """The 36 numbers of a pose's covariance of which the places' 3 x 3 is known."""
    full = np.zeros(36)
    full[_BLOCK] = block.reshape(-1)
    return full
