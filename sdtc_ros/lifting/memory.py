# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What a lifter remembers of tracks: depths against the torso, the torso's own, and lengths of bones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sdtc_ros.lifting.body import Body

Float64Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

SPEED = 1.0  # metres a second by which a joint's depth against the torso may change, one standard deviation
BLUR = 0.1  # metres: deviation of an expected depth at once
BONE_RATE = 0.1  # weight of a new measurement in a bone's running length
BONE_SLACK = 1.15  # a bone measured for a while may be this many times its running length
BONE_COUNT = 5  # measurements of a bone before it is believed


@dataclass(frozen=True)
class Past:
    """What is remembered of P people of a frame, NaN where nothing is.

    rows: P, where in the memory; depths, deviations, ages: P x K, a joint's last observed depth minus the torso's
    (metres), how sure it is now (metres) and how old (seconds, infinite where there is none); torso, torso_age: P, the
    torso's last depth (metres) and how old (seconds); longest: P x E metres, the longest that each bone can be.
    """

    rows: IntArray
    depths: Float64Array
    deviations: Float64Array
    ages: Float64Array
    torso: Float64Array
    torso_age: Float64Array
    longest: Float64Array


class Memory:
    """All tracks' pasts, a row each: of N tracks, K joints and E bones."""

    def __init__(self, joints: int, body: Body) -> None:
        """Nothing known yet."""
        self._body, self._ends = body, np.array(body.edges, np.int64).reshape(-1, 2)
        self._rows: dict[int, int] = {}
        self._depths, self._deviations = np.zeros((0, joints)), np.zeros((0, joints))
        self._stamps = np.zeros((0, joints), np.int64)  # of a joint's last observation, -1: never
        self._torso, self._seen = np.zeros(0), np.zeros(0, np.int64)  # its last depth, and its stamp
        self._bones, self._counts = np.zeros((0, len(body.edges))), np.zeros((0, len(body.edges)), np.int64)

    def forget(self, stamp: int, seconds: float) -> None:
        """Drop tracks not seen for that long, and those of a time that lies ahead of the stamp (nanoseconds)."""
        age = stamp - self._seen
        keep = (age >= 0) & (age <= seconds * 1e9)
        if keep.all():
            return
        number = np.cumsum(keep) - 1
        self._rows = {key: int(number[row]) for key, row in self._rows.items() if keep[row]}
        self._depths, self._deviations, self._stamps = self._depths[keep], self._deviations[keep], self._stamps[keep]
        self._torso, self._seen = self._torso[keep], self._seen[keep]
        self._bones, self._counts = self._bones[keep], self._counts[keep]

    def past(self, tracks: list[int], stamp: int) -> Past:
        """What is remembered of P tracks at a stamp (nanoseconds); of new ones nothing."""
        new = [track for track in dict.fromkeys(tracks) if track not in self._rows]
        if new:
            self._add(new)
        rows = np.array([self._rows[track] for track in tracks], np.int64)
        stamps = self._stamps[rows]
        age = np.where(stamps >= 0, np.maximum(stamp - stamps, 0) / 1e9, np.inf)
        deviations = np.sqrt(self._deviations[rows] ** 2 + BLUR**2 + (SPEED * np.where(stamps >= 0, age, 0)) ** 2)
        measured = np.minimum(BONE_SLACK * self._bones[rows] + 0.03, self._body.lengths)
        longest = np.where(self._counts[rows] >= BONE_COUNT, measured, self._body.lengths)
        torso_age = (stamp - self._seen[rows]) / 1e9
        return Past(rows, self._depths[rows], deviations, age, self._torso[rows], torso_age, longest)

    def remember(
        self, past: Past, stamp: int, torso: Float64Array, joints: Float64Array, deviations: Float64Array
    ) -> None:
        """Take over the joints observed (P x K x 3 metres, NaN where not), their depths' deviations (P x K) and torsos.

        Of somebody of whom nothing was observed nothing changes.
        """
        seen = np.isfinite(joints[..., 2])
        some = seen.any(axis=1)
        rows, seen, joints = past.rows[some], seen[some], joints[some]
        torso = torso[some]
        self._torso[rows], self._seen[rows] = torso, stamp
        self._depths[rows] = np.where(seen, joints[..., 2] - torso[:, None], self._depths[rows])
        self._deviations[rows] = np.where(seen, deviations[some], self._deviations[rows])
        self._stamps[rows] = np.where(seen, stamp, self._stamps[rows])
        apart = joints[:, self._ends[:, 0]] - joints[:, self._ends[:, 1]]
        length = np.sqrt((apart**2).sum(axis=2))
        new, bones = np.isfinite(length), self._bones[rows]
        rate = np.where(self._counts[rows] == 0, 1.0, BONE_RATE)
        self._bones[rows] = np.where(new, bones + rate * (length - bones), bones)
        self._counts[rows] += new

    def _add(self, tracks: list[int]) -> None:
        for number, track in enumerate(tracks, len(self._rows)):
            self._rows[track] = number
        count, joints, bones = len(tracks), self._depths.shape[1], self._bones.shape[1]
        blank = np.full((count, joints), np.nan)
        self._depths = np.concatenate([self._depths, blank])
        self._deviations = np.concatenate([self._deviations, blank])
        self._stamps = np.concatenate([self._stamps, np.full((count, joints), -1)])
        self._torso = np.concatenate([self._torso, np.full(count, np.nan)])
        self._seen = np.concatenate([self._seen, np.full(count, -1)])
        self._bones = np.concatenate([self._bones, np.zeros((count, bones))])
        self._counts = np.concatenate([self._counts, np.zeros((count, bones), np.int64)])
