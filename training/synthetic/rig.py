# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""From a pose that fits every body to one body's bones.

A pose gives 15 segments' rotations against the reference figure: standing straight, arms hanging, feet forward, in the
body's frame (left +x, front -y, up +z). A rig knows how one body's rest shape differs from that figure (its arms are
spread) and hands every segment's rotation to the bones it moves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from training.synthetic import rotations
from training.synthetic.bodies import Bodies

SEGMENTS = (
    "pelvis", "chest", "head",
    "thigh_l", "shin_l", "foot_l", "upper_arm_l", "forearm_l", "hand_l",
    "thigh_r", "shin_r", "foot_r", "upper_arm_r", "forearm_r", "hand_r",
)  # fmt: skip
INDEX = {name: number for number, name in enumerate(SEGMENTS)}
_SPINE = (("spine05", 0.15), ("spine04", 0.38), ("spine03", 0.62), ("spine02", 0.85), ("spine01", 1.0))
_NECK = (("neck01", 0.3), ("neck02", 0.5), ("neck03", 0.7), ("head", 1.0))
_DOWN = np.array([0.0, 0.0, -1.0])


@dataclass(frozen=True)
class Rig:
    """One body's bones: `align` (15, 3, 3) turns each segment of the rest shape into the reference figure's."""

    names: tuple[str, ...]
    parents: np.ndarray
    heads: np.ndarray  # (B, 3) float64
    align: np.ndarray
    curl: np.ndarray  # (B, 3, 3) rotations against the parent: the fingers', else the identity


def make_rig(bodies: Bodies, identity: int, random: np.random.Generator) -> Rig:
    """The rig of an identity, its fingers curled by chance."""
    heads = bodies.heads[identity].astype(float)
    align = np.tile(np.eye(3), (len(SEGMENTS), 1, 1))
    limbs = (("thigh", "upperleg01", "lowerleg01"), ("shin", "lowerleg01", "foot"))
    limbs += (("upper_arm", "upperarm01", "lowerarm01"), ("forearm", "lowerarm01", "wrist"))  # type: ignore[assignment]
    for side in "lr":
        for segment, start, end in limbs:
            direction = heads[bodies.bone(f"{end}.{side.upper()}")] - heads[bodies.bone(f"{start}.{side.upper()}")]
            align[INDEX[f"{segment}_{side}"]] = rotations.turning(direction, _DOWN)
        align[INDEX[f"hand_{side}"]] = align[INDEX[f"forearm_{side}"]]
    return Rig(bodies.bones, bodies.parents, heads, align, _curl(bodies, heads, random))


def _curl(bodies: Bodies, heads: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Fingers bent about the axis across the palm."""
    curl = np.tile(np.eye(3), (len(bodies.bones), 1, 1))
    for side in "LR":
        across = heads[bodies.bone(f"finger5-1.{side}")] - heads[bodies.bone(f"finger2-1.{side}")]
        across /= np.linalg.norm(across)
        amount = np.radians(random.uniform(5, 75))
        for finger in range(2, 6):
            for joint in (1, 2, 3):
                angle = -amount * random.uniform(0.6, 1.1) * (0.8 if joint == 1 else 1)
                turned = rotations.about_vector(across * angle)
                curl[bodies.bone(f"finger{finger}-{joint}.{side}")] = turned
    return curl


def solve(rig: Rig, pose: np.ndarray, root: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every bone's transform (rotation (T, B, 3, 3), translation (T, B, 3), float32) of T poses.

    pose: (T, 15, 3, 3); root: (T, 3), metres, how far the pelvis has moved from where it is at rest. A rest vertex v
    goes to rotation @ v + translation.
    """
    turned = _bone_rotations(rig, pose)
    given = np.full(len(rig.names), -1)
    given[[rig.names.index(name) for name in turned]] = np.arange(len(turned))
    return _chain(
        rig.parents, given, np.ascontiguousarray(np.stack(list(turned.values()), axis=1)), rig.curl, rig.heads,
        np.ascontiguousarray(root, dtype=np.float64),
    )  # fmt: skip


def _bone_rotations(rig: Rig, pose: np.ndarray) -> dict[str, np.ndarray]:
    """World rotations (T, 3, 3) of the bones that a pose speaks of."""
    segment = {name: pose[:, number] for name, number in INDEX.items()}
    limb = {name: pose[:, number] @ rig.align[number] for name, number in INDEX.items()}
    pelvis, chest, head = segment["pelvis"], segment["chest"], segment["head"]
    turned = {"root": pelvis}
    turned.update({bone: rotations.between(pelvis, chest, share) for bone, share in _SPINE})
    turned.update({bone: rotations.between(chest, head, share) for bone, share in _NECK})
    for side in "lr":
        bone_side = side.upper()
        arm, forearm, hand = limb[f"upper_arm_{side}"], limb[f"forearm_{side}"], limb[f"hand_{side}"]
        # The shoulder follows a raised arm by a part; its share is small because the rest arm is spread already.
        turned[f"clavicle.{bone_side}"] = rotations.between(chest, arm, 0.18)
        turned[f"shoulder01.{bone_side}"] = rotations.between(chest, arm, 0.30)
        turned[f"upperarm01.{bone_side}"] = arm
        turned[f"lowerarm01.{bone_side}"] = forearm
        turned[f"lowerarm02.{bone_side}"] = rotations.between(forearm, hand, 0.5)
        turned[f"wrist.{bone_side}"] = hand
        turned[f"upperleg01.{bone_side}"] = limb[f"thigh_{side}"]
        turned[f"lowerleg01.{bone_side}"] = limb[f"shin_{side}"]
        turned[f"foot.{bone_side}"] = limb[f"foot_{side}"]
    return turned


@njit(cache=True)
def _chain(
    parents: np.ndarray, given: np.ndarray, turned: np.ndarray, curl: np.ndarray, heads: np.ndarray, root: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Bones one after another: a rotation that is given, or the parent's times the finger's curl."""
    frames, bones = turned.shape[0], parents.shape[0]
    rotation = np.zeros((frames, bones, 3, 3), np.float32)
    translation = np.zeros((frames, bones, 3), np.float32)
    for t in range(frames):
        for b in range(bones):
            p = parents[b]
            for i in range(3):
                for j in range(3):
                    if given[b] >= 0:
                        rotation[t, b, i, j] = turned[t, given[b], i, j]
                    elif p >= 0:
                        total = 0.0
                        for k in range(3):
                            total += rotation[t, p, i, k] * curl[b, k, j]
                        rotation[t, b, i, j] = total
                    else:
                        rotation[t, b, i, j] = 1.0 if i == j else 0.0
            for i in range(3):
                place = heads[b, i] + root[t, i] if p < 0 else translation[t, p, i]
                for k in range(3):
                    if p >= 0:
                        place += rotation[t, p, i, k] * heads[b, k]
                    place -= rotation[t, b, i, k] * heads[b, k]
                translation[t, b, i] = place
    return rotation, translation
