# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""PCKh of a contender's points: the share of joints nearer to the truth than half the head's size.

The head's size is PoseTrack's, 0.6 x the diagonal of its box. A person who was not found has missed all joints, so a
contender gains nothing by staying silent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.beside.clips import Truth

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Accuracy:
    """In percent; occluded is NaN where no joint is occluded. found: people and frames with a result at all."""

    found: float
    visible: float = float("nan")
    occluded: float = float("nan")


def measure(points: Array, boxes: Array, truth: Truth | None) -> Accuracy:
    """Of points T x P x 13 x 2 (NaN: not found), where boxes T x P x 4 are not NaN."""
    there = ~np.isnan(boxes[..., 0])
    found = _percent(~np.isnan(points[..., 0, 0])[there])
    if truth is None:
        return Accuracy(found)
    known = there[..., None] & ~np.isnan(truth.points[..., 0])
    distance = np.linalg.norm(points - truth.points, axis=-1)
    hit = np.nan_to_num(distance, nan=np.inf) <= truth.unit[..., None]
    return Accuracy(found, _percent(hit[known & truth.visible]), _percent(hit[known & ~truth.visible]))


def _percent(hits: npt.NDArray[np.bool_]) -> float:
    return 100 * float(hits.mean()) if hits.size else float("nan")
