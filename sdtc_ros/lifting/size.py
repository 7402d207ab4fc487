# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""How far people are by how large they are in the image: what tells a person from whoever covers all of him."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sdtc_ros.lifting.body import Body

Float64Array = npt.NDArray[np.float64]

SHARE = 0.2  # quantile of the bones' distances: a bone that points at the camera looks short, thus far
DEVIATION = 0.25  # of the result's logarithm: children at the far end


def depth_by_size(keypoints: Float64Array, min_score: float, focal: float, body: Body) -> Float64Array:
    """P metres at which bones of the middle length would look as they do, NaN where fewer than three are found.

    keypoints: P x K x 3 (x, y, score); focal: pixels.
    """
    first, second = body.measures.T
    apart = np.hypot(*np.moveaxis(keypoints[:, first, :2] - keypoints[:, second, :2], -1, 0))
    found = np.minimum(keypoints[:, first, 2], keypoints[:, second, 2]) >= min_score
    distances = np.sort(np.where(found, focal * body.middles / np.maximum(apart, 1.0), np.inf), axis=1)
    count = found.sum(axis=1)
    taken = distances[np.arange(len(distances)), np.floor(SHARE * np.maximum(count - 1, 0)).astype(np.int64)]
    return np.where(count >= 3, taken, np.nan)


def size_costs(depths: Float64Array, by_size: Float64Array) -> Float64Array:
    """What it costs to be at those depths (metres) in place of where the size says; 0 where it says nothing."""
    with np.errstate(invalid="ignore", divide="ignore"):
        off = np.log(depths / by_size) / DEVIATION
    return np.where(np.isfinite(off), 0.5 * off**2, 0.0)
