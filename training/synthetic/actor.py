# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A person who moves: a motion put on a body, feet on the ground, and placed in the world.

A motion says how the body bends, not where it goes. That follows from contact: the lowest point of the body touches the
ground, and of each foot's heel and toe the lowest one stays where it is until another is lower. So feet do not slide,
whatever body walks, and a repeated cycle walks on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from training.synthetic import rotations
from training.synthetic.clearance import clear_hands
from training.synthetic.motion import Motion
from training.synthetic.person import Person, joints_of
from training.synthetic.rasteriser import skin
from training.synthetic.rig import solve

_PROBE_STEP = 40  # every how many vertices are looked at for the lowest


@dataclass(frozen=True)
class Actor:
    """A person's bones in the world at S instants: rotation (S, B, 3, 3), translation (S, B, 3), float32."""

    person: Person
    motion: Motion
    rotation: np.ndarray
    translation: np.ndarray

    def vertices(self, instant: int) -> np.ndarray:
        """The mesh's vertices (N, 3) float32 in the world, metres."""
        moved = np.empty_like(self.person.mesh.vertices)
        skin(
            self.person.mesh.vertices, self.person.weights, self.person.weight_bones, self.rotation[instant],
            self.translation[instant], moved,
        )  # fmt: skip
        return moved

    def joints(self, instant: int, vertices: np.ndarray) -> np.ndarray:
        """PoseTrack's 15 joints (15, 3) in the world, metres; `vertices` are this instant's."""
        return joints_of(self.person, vertices, self.rotation[instant], self.translation[instant])


def make_actor(person: Person, motion: Motion, place: np.ndarray, heading: float, key: int) -> Actor:
    """The person doing the motion; at instant `key` the pelvis is above `place` (2,), its front turned by `heading`.

    Heading 0 leaves the motion's own front, -y at its start.
    """
    motion = replace(motion, pose=clear_hands(person, motion.pose))
    rotation, translation = solve(person.rig, motion.pose, np.zeros((len(motion.pose), 3)))
    translation += _on_the_ground(person, rotation, translation)[:, None].astype(np.float32)
    turn = rotations.about("z", heading).astype(np.float32)
    rotation, translation = turn @ rotation, translation @ turn.T
    pelvis = person.rig.heads[0]
    at = rotation[key, 0] @ pelvis + translation[key, 0]
    translation[..., :2] += (place - at[:2]).astype(np.float32)
    return Actor(person, motion, np.ascontiguousarray(rotation), np.ascontiguousarray(translation))


def _on_the_ground(person: Person, rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """How far the body moves (S, 3) so that it stands on the ground and its lowest foot stays."""
    rest = person.mesh.vertices
    contacts = _contacts(rest)
    probe = np.unique(np.r_[contacts, np.arange(0, len(rest), _PROBE_STEP)])
    moved = np.empty((len(rotation), len(probe), 3), np.float32)
    parts = (rest[probe], person.weights[probe], person.weight_bones[probe])
    for instant in range(len(rotation)):
        skin(*parts, rotation[instant], translation[instant], moved[instant])
    shift = np.zeros((len(rotation), 3))
    shift[:, 2] = -moved[..., 2].min(axis=1)
    feet = moved[:, np.searchsorted(probe, contacts)]
    if len(feet) > 1:
        height = (feet[1:, :, 2] + feet[:-1, :, 2]) / 2
        standing = np.argmin(height, axis=1)
        step = (feet[1:] - feet[:-1])[np.arange(len(standing)), standing, :2]
        shift[1:, :2] = -np.cumsum(step, axis=0)
    return shift


def _contacts(rest: np.ndarray) -> np.ndarray:
    """Vertices (4,) at rest where feet touch: heel and toe, left and right."""
    sole = np.flatnonzero(rest[:, 2] < rest[:, 2].min() + 0.03)
    chosen = []
    for side in (1, -1):
        foot = sole[side * rest[sole, 0] > 0]
        chosen += [foot[np.argmin(rest[foot, 1])], foot[np.argmax(rest[foot, 1])]]
    return np.array(chosen)
