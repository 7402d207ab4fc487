# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What is known of bodies beforehand: how thick they are at a joint, and how long a bone can be. All in metres.

Offsets are means over synthetic people, whose joints and depth buffers are exact (`python benchmarks/lifting.py CLIPS
--annotated` judges them); lengths are those of tall adults (95th percentile of men and some clothing),
so that children fit too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sdtc_ros.skeleton import Skeleton

Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class JointBody:
    """A joint's surroundings: `radius` of the limb there, `offset` from its surface to the joint along the ray.

    turn: metres by which the offset grows where the joint is on the body's far side, seen from its side; front: by
    which it grows where the body faces the camera.
    """

    radius: float
    offset: float
    turn: float = 0.0
    front: float = 0.0


_HEAD_SURFACE = JointBody(0.04, 0.01)  # eyes and ears lie on the surface
_BY_WORD = {
    "nose": JointBody(0.04, 0.059, front=-0.064),
    "head_top": JointBody(0.05, 0.078),
    "head_bottom": JointBody(0.05, 0.072),
    "chest": JointBody(0.10, 0.10),
    "shoulder": JointBody(0.06, 0.082, 0.043),
    "elbow": JointBody(0.04, 0.047),
    "wrist": JointBody(0.03, 0.036),
    "hip": JointBody(0.08, 0.125, 0.027),
    "knee": JointBody(0.05, 0.070),
    "ankle": JointBody(0.04, 0.057),
}
# lengths of adults in the middle: with what a bone measures in the image they say how far its owner is
_SIZES = (
    ("shoulder", "hip", 0.50),
    ("hip", "knee", 0.40),
    ("knee", "ankle", 0.385),
    ("shoulder", "elbow", 0.295),
    ("elbow", "wrist", 0.245),
)
_SIDES = {"left": -1, "right": 1}
TORSO = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")

# in the order in which the tree of a skeleton takes them; a bone that would close a circle is left out of it
_BONES = (
    ("left_shoulder", "right_shoulder", 0.48),
    ("left_shoulder", "left_hip", 0.65),
    ("right_shoulder", "right_hip", 0.65),
    ("left_shoulder", "left_elbow", 0.40),
    ("right_shoulder", "right_elbow", 0.40),
    ("left_elbow", "left_wrist", 0.34),
    ("right_elbow", "right_wrist", 0.34),
    ("left_hip", "left_knee", 0.54),
    ("right_hip", "right_knee", 0.54),
    ("left_knee", "left_ankle", 0.52),
    ("right_knee", "right_ankle", 0.52),
    ("left_shoulder", "head_bottom", 0.32),
    ("left_shoulder", "chest", 0.40),
    ("head_bottom", "nose", 0.30),
    ("chest", "nose", 0.40),
    ("left_shoulder", "nose", 0.48),
    ("nose", "head_top", 0.32),
    ("nose", "left_eye", 0.10),
    ("nose", "right_eye", 0.10),
    ("left_eye", "left_ear", 0.18),
    ("right_eye", "right_ear", 0.18),
)


@dataclass(frozen=True)
class Body:
    """The tables for a skeleton of K joints.

    radii, offsets, fronts: K metres; turns: K metres, the JointBody's for joints of the right side, negative for the
    left; nose: its index, -1 where the skeleton has none; torso: indices of shoulders and hips; across: 2 x A, of
    those the left ones and the right ones opposite, shoulders first; edges: E x 2 (parent, child) of a spanning forest,
    parents before their children; lengths: E, the longest that each can be; roots: one joint of every tree; measures:
    M x 2 (joint, joint), the bones that tell a person's size; middles: M metres, their lengths in an adult of the
    middle.
    """

    radii: Float64Array
    offsets: Float64Array
    turns: Float64Array
    fronts: Float64Array
    nose: int
    torso: npt.NDArray[np.int64]
    edges: tuple[tuple[int, int], ...]
    lengths: Float64Array
    roots: tuple[int, ...]
    across: npt.NDArray[np.int64]
    measures: npt.NDArray[np.int64]
    middles: Float64Array


def body_of(skeleton: Skeleton) -> Body:
    """The tables for that skeleton."""
    parts = [_BY_WORD.get(joint, _BY_WORD.get(joint.split("_")[-1], _HEAD_SURFACE)) for joint in skeleton.joints]
    edges, lengths, roots = _forest(skeleton)
    sizes = [(f"{side}_{a}", f"{side}_{b}", length) for a, b, length in _SIZES for side in _SIDES]
    measured = [one for one in sizes if one[0] in skeleton.joints and one[1] in skeleton.joints]
    opposite = [(f"left_{word}", f"right_{word}") for word in ("shoulder", "hip")]
    signs = [_SIDES.get(joint.split("_")[0], 0) for joint in skeleton.joints]
    return Body(
        radii=np.array([part.radius for part in parts]),
        offsets=np.array([part.offset for part in parts]),
        turns=np.array([part.turn for part in parts]) * signs,
        fronts=np.array([part.front for part in parts]),
        nose=skeleton.index("nose") if "nose" in skeleton.joints else -1,
        torso=np.array([skeleton.index(joint) for joint in TORSO if joint in skeleton.joints], np.int64),
        edges=edges,
        lengths=np.array(lengths),
        roots=roots,
        across=_indices(skeleton, [pair for pair in opposite if set(pair) <= set(skeleton.joints)]).T,
        measures=_indices(skeleton, [one[:2] for one in measured]),
        middles=np.array([one[2] for one in measured]),
    )


def _indices(skeleton: Skeleton, pairs: list[tuple[str, str]]) -> npt.NDArray[np.int64]:
    """N x 2 of N pairs of joints."""
    return np.array([[skeleton.index(joint) for joint in pair] for pair in pairs], np.int64).reshape(-1, 2)


def _forest(skeleton: Skeleton) -> tuple[tuple[tuple[int, int], ...], list[float], tuple[int, ...]]:
    """Edges, their greatest lengths, and roots: bones are taken in their order where they reach one joint more."""
    at = {joint: index for index, joint in enumerate(skeleton.joints)}
    reached: dict[int, int] = {}  # joint -> root of its tree
    edges: list[tuple[int, int]] = []
    lengths: list[float] = []
    for first, second, longest in _BONES:
        if first not in at or second not in at:
            continue
        parent, child = at[first], at[second]
        reached.setdefault(parent, parent)
        if child not in reached:
            reached[child] = reached[parent]
            edges.append((parent, child))
            lengths.append(longest)
    roots = {reached.setdefault(index, index): None for index in range(len(skeleton))}
    return tuple(edges), lengths, tuple(roots)
