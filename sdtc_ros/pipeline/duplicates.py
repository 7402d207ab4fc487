# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Poses of two tracks that show the same person.

A detector's box sometimes spans two neighbours, and the network then finds the one whom his own box shows better. The
pose is nobody's: left in, he is there twice, and the tracker learns that the other person has moved to him.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sdtc_ros.types import Pose

NEAR = 0.05  # of the larger box's height: two joints this near are the same
SHARE = 2 / 3  # of the joints that are the same from which two poses are


def without_duplicates(poses: Sequence[Pose]) -> list[Pose]:
    """The poses in their order, of those that show the same person only the one of the best score."""
    if len(poses) < 2:
        return list(poses)
    places = np.stack([pose.keypoints[:, :2] for pose in poses])
    heights = np.array([pose.box[3] for pose in poses])
    reach = NEAR * np.maximum(heights[:, None], heights)
    apart = np.linalg.norm(places[:, None] - places[None], axis=3)  # N x N x K
    same = (apart <= reach[..., None]).mean(axis=2) >= SHARE
    kept: list[int] = []
    for row in sorted(range(len(poses)), key=lambda i: -poses[i].score):
        if not same[row, kept].any():
            kept.append(row)
    return [poses[row] for row in sorted(kept)]
