# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""How people are turned against the camera: mostly from the image, where depth shows one shoulder for both.

The nose lies before the shoulders, so beside their middle it tells the sine of the turn; how wide shoulders and hips
look tells the cosine. Both in lengths of the trunk.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sdtc_ros.lifting.body import Body

Float64Array = npt.NDArray[np.float64]

NOSE = 3.0  # weight of the nose's place beside the shoulders' middle, in widths of shoulders and hips
DEPTH = 0.25  # weight of the depth between left and right beside the nose; 1 where the nose is not known


def turned(
    rays: Float64Array, depths: Float64Array, known: npt.NDArray[np.bool_], distance: Float64Array, body: Body
) -> Float64Array:
    """Of P people the sine (1: the body's right is farther than its left) and the cosine (1: it faces the camera).

    rays: P x K x 3 (x, y, 1); depths: P x K metres, NaN where unknown; known: P x K, joints found in the image;
    distance: P metres, how far they are as a whole. Returns P x 2; (0, 1) where neither shoulders nor hips are known.
    """
    left, right = body.across
    flat = np.where(known[..., None], rays[..., :2], np.nan)
    sides = flat[:, left], flat[:, right]  # P x A x 2, shoulders and hips
    middles = (sides[0] + sides[1]) / 2
    trunk = middles[:, 0] - middles[:, -1] if len(left) > 1 else np.full((len(rays), 2), np.nan)
    length = np.hypot(*trunk.T)
    upright = ~(length > 0)  # NaN too: the camera's own upright, and widths as they are
    trunk = np.where(upright[:, None], [0.0, -1.0], trunk)
    across = np.stack([-trunk[:, 1], trunk[:, 0]], axis=-1) / np.where(upright, 1.0, length**2)[:, None]
    wide = np.nansum(((sides[1] - sides[0]) * across[:, None]).sum(axis=-1), axis=1)
    scale = np.where(upright, 1.0, length) * distance
    deep = np.nansum(depths[:, right] - depths[:, left], axis=1) / scale
    aside = -NOSE * ((flat[:, body.nose] - middles[:, 0]) * across).sum(axis=-1) if body.nose >= 0 else np.nan
    sine = np.where(np.isfinite(aside), aside + DEPTH * deep, deep)
    both = np.hypot(sine, wide)
    return np.where(both[:, None] > 0, np.stack([sine, -wide], axis=-1) / np.where(both > 0, both, 1)[:, None], [0, 1])
