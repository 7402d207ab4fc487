# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Skeletons: which joints there are, how they connect, which are mirror images, how papers group them.

Joint order is the data set's own: PoseTrack's JSON without its two ear slots (never labelled, not predicted),
HiEve's format page (http://humaninevents.org/format.html), COCO's 17 keypoints.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from sdtc_ros.errors import BundleError


@dataclass(frozen=True)
class Skeleton:
    """A set of K joints; `limbs` and `flip_pairs` hold joint indices, `groups` the papers' table columns."""

    name: str
    joints: tuple[str, ...]
    limbs: tuple[tuple[int, int], ...]
    flip_pairs: tuple[tuple[int, int], ...]
    groups: tuple[tuple[str, tuple[int, ...]], ...]

    def __len__(self) -> int:
        return len(self.joints)

    def index(self, joint: str) -> int:
        """Index of a joint by its name; raises ValueError for a name it does not have."""
        return self.joints.index(joint)

    @cached_property
    def flip_order(self) -> tuple[int, ...]:
        """For every joint the index of its mirror image (itself where it has none)."""
        order = list(range(len(self.joints)))
        for left, right in self.flip_pairs:
            order[left], order[right] = right, left
        return tuple(order)


def shared_joints(truth: Skeleton, other: Skeleton) -> Skeleton:
    """The joints of `truth` that `other` has too, in truth's order: `truth` itself where it has all of them."""
    kept = [i for i, joint in enumerate(truth.joints) if joint in other.joints]
    if len(kept) == len(truth):
        return truth
    at = {i: n for n, i in enumerate(kept)}
    groups = [(title, tuple(at[i] for i in members if i in at)) for title, members in truth.groups]
    return Skeleton(
        name=f"{truth.name} and {other.name}",
        joints=tuple(truth.joints[i] for i in kept),
        limbs=tuple((at[a], at[b]) for a, b in truth.limbs if a in at and b in at),
        flip_pairs=tuple((at[a], at[b]) for a, b in truth.flip_pairs if a in at and b in at),
        groups=tuple(group for group in groups if group[1]),
    )


def _skeleton(name: str, joints: str, limbs: str, groups: str) -> Skeleton:
    """Build a skeleton from words: 'a b c', 'a-b b-c', 'Head=a,b Wrist=c'; left_x pairs with right_x."""
    names = tuple(joints.split())
    at = {joint: i for i, joint in enumerate(names)}
    return Skeleton(
        name=name,
        joints=names,
        limbs=tuple((at[a], at[b]) for a, b in (limb.split("-") for limb in limbs.split())),
        flip_pairs=tuple(
            (at[j], at["right" + j[4:]]) for j in names if j.startswith("left_") and "right" + j[4:] in at
        ),
        groups=tuple(
            (title, tuple(at[j] for j in members.split(",")))
            for title, members in (group.split("=") for group in groups.split())
        ),
    )


_LIMB_GROUPS = (
    "Shoulder=left_shoulder,right_shoulder Elbow=left_elbow,right_elbow Wrist=left_wrist,right_wrist "
    "Hip=left_hip,right_hip Knee=left_knee,right_knee Ankle=left_ankle,right_ankle"
)
_ARMS_AND_LEGS = (
    "left_shoulder-left_elbow left_elbow-left_wrist right_shoulder-right_elbow right_elbow-right_wrist "
    "left_hip-left_knee left_knee-left_ankle right_hip-right_knee right_knee-right_ankle"
)

POSETRACK = _skeleton(
    "posetrack",
    "nose head_bottom head_top left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist "
    "left_hip right_hip left_knee right_knee left_ankle right_ankle",
    "head_top-nose nose-head_bottom head_bottom-left_shoulder head_bottom-right_shoulder "
    "left_shoulder-left_hip right_shoulder-right_hip left_hip-right_hip " + _ARMS_AND_LEGS,
    "Head=nose,head_bottom,head_top " + _LIMB_GROUPS,
)

HIEVE = _skeleton(
    "hieve",
    "nose chest right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist "
    "right_hip right_knee right_ankle left_hip left_knee left_ankle",
    "nose-chest chest-left_shoulder chest-right_shoulder chest-left_hip chest-right_hip left_hip-right_hip "
    + _ARMS_AND_LEGS,
    "Head=nose,chest " + _LIMB_GROUPS,
)

COCO = _skeleton(
    "coco",
    "nose left_eye right_eye left_ear right_ear left_shoulder right_shoulder left_elbow right_elbow "
    "left_wrist right_wrist left_hip right_hip left_knee right_knee left_ankle right_ankle",
    "nose-left_eye nose-right_eye left_eye-left_ear right_eye-right_ear left_shoulder-right_shoulder "
    "left_shoulder-left_hip right_shoulder-right_hip left_hip-right_hip " + _ARMS_AND_LEGS,
    "Head=nose,left_eye,right_eye,left_ear,right_ear " + _LIMB_GROUPS,
)

SKELETONS = {skeleton.name: skeleton for skeleton in (POSETRACK, HIEVE, COCO)}


def skeleton_by_name(name: str) -> Skeleton:
    """The skeleton of that name; raises BundleError that lists the names there are."""
    if name not in SKELETONS:
        raise BundleError(f"unknown skeleton '{name}'; choose from {', '.join(SKELETONS)}")
    return SKELETONS[name]
