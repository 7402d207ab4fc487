# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""How people stand in PoseTrack18/21 JSON: keypoint slots, entries of the lists, track ids that poseval takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sdtc_ros.errors import InputError
from sdtc_ros.ground_truth.posetrack import POSETRACK_SLOTS
from sdtc_ros.ground_truth.sequence import Array, Mask, Person
from sdtc_ros.lifting.poses3d import FramePoses3D
from sdtc_ros.skeleton import POSETRACK, Skeleton
from sdtc_ros.types import FramePoses

MAX_TRACK_ID = 10000  # poseval refuses track ids from here on


class Layout:
    """A file's keypoint slots: PoseTrack's 17 for its joints, else one a joint.

    names: of the slots; slots: that of each joint of the skeleton.
    """

    def __init__(self, skeleton: Skeleton) -> None:
        self.names = POSETRACK_SLOTS if skeleton is POSETRACK else skeleton.joints
        self.slots = [self.names.index(joint) for joint in skeleton.joints]
        self._limbs = skeleton.limbs

    def category(self) -> dict[str, Any]:
        """The entry of `categories`."""
        limbs = [[self.slots[a] + 1, self.slots[b] + 1] for a, b in self._limbs]
        return {"supercategory": "person", "id": 1, "name": "person", "keypoints": list(self.names), "skeleton": limbs}

    def person(self, person: Person) -> dict[str, Any]:
        """An entry of `annotations`, without ids."""
        annotation: dict[str, Any] = {"category_id": 1, "keypoints": self._spread(person.keypoints).ravel().tolist()}
        scores = person.joint_scores
        annotation["scores"] = [] if scores is None else self._spread(np.nan_to_num(scores, nan=-9999.0)).tolist()
        for key, box in (("bbox", person.box), ("bbox_head", person.head_box)):
            if box is not None:
                annotation[key] = box.tolist()
        if person.score is not None:
            annotation["score"] = float(person.score)
        if person.flags:
            annotation["flags"] = {name: self._spread(mask).astype(int).tolist() for name, mask in person.flags.items()}
        rows, columns = np.triu_indices(3)
        upper = None if person.covariances_3d is None else person.covariances_3d[:, rows, columns]
        for key, values in (("joints_3d", person.joints_3d), ("covariances_3d", upper)):
            if values is not None:
                annotation[key] = self._in_space(values)
        return annotation

    def _spread(self, values: Array | Mask) -> Array:
        """K numbers, or K rows of them, in their slots; 0 in the others."""
        out = np.zeros((len(self.names), *values.shape[1:]))
        out[self.slots] = values
        return out

    def _in_space(self, values: Array) -> list[list[float] | None]:
        """A list a slot, null where it is not known: metres (x, y, z), or metres squared (xx, xy, xz, yy, yz, zz)."""
        listed: list[list[float] | None] = [None] * len(self.names)
        for slot, row in zip(self.slots, values.tolist(), strict=True):
            listed[slot] = [round(number, 6) for number in row] if np.isfinite(row).all() else None
        return listed


@dataclass
class TrackNumbers:
    """Track ids as a file may have them: poseval refuses negative ones and those from MAX_TRACK_ID on.

    An id that is fine stays as it is; another is given the lowest number that is free when it first comes. A file of
    more tracks than MAX_TRACK_ID cannot be accepted whole; its last tracks have numbers from there on.
    """

    _numbers: dict[int, int] = field(default_factory=dict)
    _taken: set[int] = field(default_factory=set)
    _lowest: int = 0

    def number(self, track_id: int | None) -> int:
        """The number of a track; None is a person of whom no track is known, each of them a new one."""
        if track_id in self._numbers:
            return self._numbers[track_id]
        number = track_id
        if number is None or not 0 <= number < MAX_TRACK_ID or number in self._taken:
            while self._lowest in self._taken:
                self._lowest += 1
            number = self._lowest
        self._taken.add(number)
        if track_id is not None:
            self._numbers[track_id] = number
        return number


def people_of(output: FramePoses, skeleton: Skeleton, lifted: FramePoses3D | None = None) -> list[Person]:
    """The people of a keyframe as predictions; lifted: the same people in space, where that is known.

    Raises InputError where the poses are of another skeleton.
    """
    people = []
    for pose in output.poses:
        if len(pose.keypoints) != len(skeleton):
            raise InputError(
                f"poses have {len(pose.keypoints)} joints; the {skeleton.name} skeleton has {len(skeleton)}"
            )
        keypoints = pose.keypoints.astype(np.float64)
        scores = pose.joint_scores.astype(np.float64)
        keypoints[:, 2] = 1.0
        people.append(Person(keypoints, pose.track_id, pose.box.astype(np.float64), None, float(pose.score), scores))
    for person, place in zip(people, lifted.people if lifted else (), strict=bool(lifted)):
        person.joints_3d = place.joints.astype(np.float64)
        person.covariances_3d = place.covariances.astype(np.float64)
    return people
