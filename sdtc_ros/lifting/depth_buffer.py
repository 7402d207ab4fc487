# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Which depth image belongs to a colour frame: the nearest by stamp."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

KEPT = 64  # depth images that wait for their colour frame, 2 seconds at 30 Hz


@dataclass(frozen=True)
class DepthFrame:
    """A depth image, H x W float32 metres (0: unknown), and its stamp in nanoseconds."""

    depth: FloatArray
    stamp: int


class DepthBuffer:
    """The last depth images of a camera, from which the one of a colour frame is taken by its stamp."""

    def __init__(self, tolerance: float) -> None:
        """A colour frame's depth is at most `tolerance` seconds older or newer."""
        self._tolerance = int(tolerance * 1e9)
        self._frames: deque[DepthFrame] = deque(maxlen=KEPT)

    def __len__(self) -> int:
        return len(self._frames)

    def add(self, frame: DepthFrame) -> None:
        """Take a depth image; images may come in any order."""
        self._frames.append(frame)

    def nearest(self, stamp: int) -> DepthFrame | None:
        """The depth image nearest to a colour frame's stamp; None where none lies within the tolerance."""
        best = min(self._frames, key=lambda frame: abs(frame.stamp - stamp), default=None)
        return best if best is not None and abs(best.stamp - stamp) <= self._tolerance else None

    def covers(self, stamp: int) -> bool:
        """Whether no depth image still to come (stamps rise) could lie nearer to that stamp than those at hand."""
        return any(frame.stamp >= stamp for frame in self._frames)

    def clear(self) -> None:
        """Forget all."""
        self._frames.clear()
