# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Hands kept out of the body: gestures are drawn for the mean figure, and not all bodies are as slim.

The trunk is taken for a stack of ellipses, measured on the body at rest with its clothes. A hand's place is brought
back to the rest shape by the bone of the chest or of the pelvis, and where it lies within the ellipse of that height
the whole arm is turned outward about the shoulder until it does not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.synthetic import rotations
from training.synthetic.person import Person
from training.synthetic.rig import INDEX, solve

_SLICE = 0.04  # metres, a slice's height
_HAND = 0.035  # metres: half a hand's thickness
_ROUNDS = 2


@dataclass(frozen=True)
class _Trunk:
    """Ellipses of slices from `low` up, metres at rest: centre y (S,), half widths (S, 2) along x and y."""

    low: float
    centre: np.ndarray
    half: np.ndarray


def clear_hands(person: Person, pose: np.ndarray) -> np.ndarray:
    """Poses (T, 15, 3, 3) with the arms turned so that no hand is inside the trunk."""
    trunk = _trunk(person)
    names = person.rig.names
    waist = person.rig.heads[names.index("spine04"), 2]
    for _ in range(_ROUNDS):
        rotation, translation = solve(person.rig, pose, np.zeros((len(pose), 3)))
        changed = False
        for side in "lr":
            bones = [names.index(f"{bone}.{side.upper()}") for bone in ("upperarm01", "wrist", "finger3-1")]
            shoulder, wrist, knuckle = (_place(person, rotation, translation, bone) for bone in bones)
            push = np.zeros_like(wrist)
            for bone, above in ((names.index("spine01"), True), (names.index("root"), False)):
                for point in (wrist, knuckle):
                    found = _outward(trunk, rotation[:, bone], translation[:, bone], point, waist, above)
                    push = np.where((found**2).sum(1, keepdims=True) > (push**2).sum(1, keepdims=True), found, push)
            if push.any():
                changed = True
                turn = _turn(wrist - shoulder, push)
                arm = [INDEX[f"{part}_{side}"] for part in ("upper_arm", "forearm", "hand")]
                pose = pose.copy()
                pose[:, arm] = turn[:, None] @ pose[:, arm]
        if not changed:
            break
    return pose


def _place(person: Person, rotation: np.ndarray, translation: np.ndarray, bone: int) -> np.ndarray:
    """Where a bone begins, (T, 3)."""
    return rotation[:, bone] @ person.rig.heads[bone] + translation[:, bone]


def _trunk(person: Person) -> _Trunk:
    """Measured on the vertices that bones of the trunk move."""
    names = person.rig.names
    of_trunk = np.array([name.startswith(("spine", "root", "pelvis", "breast")) for name in names])
    share = (person.weights * of_trunk[person.weight_bones]).sum(axis=1)
    vertices = person.mesh.vertices[share > 0.6][::3]
    low, high = person.rig.heads[names.index("upperleg01.L"), 2] - 0.05, person.rig.heads[names.index("neck01"), 2]
    count = max(1, int((high - low) / _SLICE))
    centre, half = np.zeros(count), np.full((count, 2), 1e-3)
    for number in range(count):
        z = low + (number + 0.5) * _SLICE
        near = vertices[np.abs(vertices[:, 2] - z) < _SLICE]
        if len(near) > 3:
            (x0, y0), (x1, y1) = near[:, :2].min(axis=0), near[:, :2].max(axis=0)
            centre[number], half[number] = (y0 + y1) / 2, ((x1 - x0) / 2, (y1 - y0) / 2)
    return _Trunk(low, centre, half)


def _outward(
    trunk: _Trunk, rotation: np.ndarray, translation: np.ndarray, point: np.ndarray, waist: float, above: bool
) -> np.ndarray:  # fmt: skip
    """How far, and where to, points (T, 3) must move to leave the part of the trunk that a bone (T, 3, 3) carries."""
    local = np.einsum("tji,tj->ti", rotation, point - translation)
    place = np.floor((local[:, 2] - trunk.low) / _SLICE).astype(int)
    known = (place >= 0) & (place < len(trunk.centre)) & ((local[:, 2] >= waist) == above)
    place = np.clip(place, 0, len(trunk.centre) - 1)
    half = trunk.half[place] + _HAND
    across = np.stack([local[:, 0], local[:, 1] - trunk.centre[place]], axis=1)
    depth = 1 - np.linalg.norm(across / half, axis=1)
    normal = across / half**2
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-9
    length = np.where(known & (depth > 0), depth * np.linalg.norm(half * normal, axis=1), 0)
    step = np.concatenate([normal * length[:, None], np.zeros((len(normal), 1))], axis=1)
    return np.einsum("tij,tj->ti", rotation, step)


def _turn(arm: np.ndarray, push: np.ndarray) -> np.ndarray:
    """Rotations (T, 3, 3) about the shoulder that move the ends of arms (T, 3) by about `push` (T, 3)."""
    squared = (arm**2).sum(axis=1, keepdims=True) + 1e-9
    return rotations.about_vector(rotations.cross(arm, push) / squared)
