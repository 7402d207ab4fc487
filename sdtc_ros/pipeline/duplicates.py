# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Poses of two tracks that show the same person.

A detector's box sometimes spans two neighbours, and the network then finds the one whom his own box shows better. Left
in, he is there twice, and between detections the other person's box moves with him.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sdtc_ros.detection.boxes import overlaps
from sdtc_ros.types import Pose

NEAR = 0.06  # of a pose's longer side: two joints this near are the same
SHARE = 2 / 3  # of their joints that agree make two poses one person's
BETTER = 0.2  # by how much a newer track's box must fit the pose better (IoU), so that two tracks do not take turns


def without_duplicates(poses: Sequence[Pose]) -> list[Pose]:
    """The poses in their order; of those that show the same person, the one whose box fits the pose best.

    Poses with joints that are not finite are left as they are.
    """
    if len(poses) < 2:
        return list(poses)
    places = np.stack([pose.keypoints[:, :2] for pose in poses])
    with np.errstate(invalid="ignore"):
        same, fit = _same(places), _fit(places, np.stack([pose.box for pose in poses]))
    kept: list[int] = []
    for row in sorted(range(len(poses)), key=lambda i: poses[i].track_id):  # the older track first
        rivals = [other for other in kept if same[row, other]]
        if all(fit[row] > fit[other] + BETTER for other in rivals):
            kept = [other for other in kept if other not in rivals] + [row]
    return [poses[row] for row in sorted(kept)]


def _same(places: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """N x K x 2 joints (pixels) -> N x N: whether two poses are one person's."""
    sides = np.ptp(places, axis=1).max(axis=1)  # not the boxes', which may span more than the person
    reach = NEAR * np.minimum(sides[:, None], sides)
    away = places[:, None] - places[None]
    near = (away**2).sum(axis=3) <= reach[..., None] ** 2
    return np.asarray(near.mean(axis=2) >= SHARE)


def _fit(places: npt.NDArray[np.float32], boxes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """N: IoU of each pose's bounding box with the box of its track."""
    low = places.min(axis=1)
    around = np.concatenate([low, places.max(axis=1) - low], axis=1)
    return np.diagonal(overlaps(around, boxes))
