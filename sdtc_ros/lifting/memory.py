# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What earlier frames say of a person's joints: how deep each lay against the torso, and how long the bones are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sdtc_ros.lifting.body import Body

Float64Array = npt.NDArray[np.float64]

SPEED = 1.0  # metres a second by which a joint's depth against the torso may change, one standard deviation
BLUR = 0.1  # metres: deviation of an expected depth at once
BONE_RATE = 0.1  # weight of a new measurement in a bone's running length
BONE_SLACK = 1.15  # a bone measured for a while may be this many times its running length
BONE_COUNT = 5  # measurements of a bone before it is believed


@dataclass
class TrackMemory:
    """One track's past.

    depths, deviations: K metres, a joint's last observed depth minus the torso's and its deviation; stamps: K
    nanoseconds of it (-1: never); torso: the torso's last depth, `seen` its stamp; bones: E running lengths, `counts`
    how often each was measured.
    """

    depths: Float64Array
    deviations: Float64Array
    stamps: npt.NDArray[np.int64]
    torso: float
    seen: int
    bones: Float64Array
    counts: npt.NDArray[np.int64]

    @classmethod
    def empty(cls, joints: int, body: Body) -> TrackMemory:
        """Nothing known."""
        edges = len(body.edges)
        return cls(
            np.full(joints, np.nan), np.full(joints, np.nan), np.full(joints, -1, np.int64), np.nan, -1,
            np.zeros(edges), np.zeros(edges, np.int64),
        )  # fmt: skip

    def expected(self, stamp: int, torso: float) -> tuple[Float64Array, Float64Array, Float64Array]:
        """Depths (K metres along the axis, NaN: unknown), their deviations, and their ages (K seconds) at a stamp."""
        age = np.where(self.stamps >= 0, np.maximum(stamp - self.stamps, 0) / 1e9, np.inf)
        deviation = np.sqrt(self.deviations**2 + BLUR**2 + (SPEED * np.where(np.isfinite(age), age, 0)) ** 2)
        return self.depths + torso, deviation, age

    def longest(self, body: Body) -> Float64Array:
        """E metres: the longest each bone can be, from the tables until it was measured often enough."""
        measured = np.minimum(BONE_SLACK * self.bones + 0.03, body.lengths)
        return np.where(self.counts >= BONE_COUNT, measured, body.lengths)

    def remember(self, stamp: int, torso: float, joints: Float64Array, deviations: Float64Array, body: Body) -> None:
        """Take over the joints observed (K x 3 metres, NaN where not) and the deviations (K) of their depths."""
        seen = np.isfinite(joints[:, 2])
        self.torso, self.seen = torso, stamp
        self.depths[seen] = joints[seen, 2] - torso
        self.deviations[seen] = deviations[seen]
        self.stamps[seen] = stamp
        ends = np.array(body.edges, np.int64).reshape(-1, 2)
        length = np.sqrt(((joints[ends[:, 0]] - joints[ends[:, 1]]) ** 2).sum(axis=1))
        new = np.isfinite(length)
        rate = np.where(self.counts == 0, 1.0, BONE_RATE)
        self.bones += np.where(new, rate * (length - self.bones), 0.0)
        self.counts += new
