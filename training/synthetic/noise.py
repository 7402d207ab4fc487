# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Value noise that tiles: the ground of cloth, skin, foliage and backdrops."""

from __future__ import annotations

import cv2
import numpy as np


def fractal(
    random: np.random.Generator, size: int, cells: int = 2, octaves: int = 5, gain: float = 0.55,
    stretch: tuple[float, float] = (1, 1),
) -> np.ndarray:  # fmt: skip
    """(size, size) float32 in 0..1: octaves of smooth noise, the coarsest of `cells` cells a side.

    `stretch` multiplies the cells down and across.
    """
    total = np.zeros((size, size), np.float32)
    weight = 1.0
    for octave in range(octaves):
        rows, columns = (max(2, int(cells * 2**octave * s)) for s in stretch)
        grid = np.pad(random.random((rows, columns), np.float32), 2, mode="wrap")
        high, wide = size + 4 * size // rows, size + 4 * size // columns
        big = cv2.resize(grid, (wide, high), interpolation=cv2.INTER_CUBIC)
        top, left = (high - size) // 2, (wide - size) // 2
        total += weight * big[top : top + size, left : left + size]
        weight *= gain
    return (total - total.min()) / (np.ptp(total) + 1e-6)
