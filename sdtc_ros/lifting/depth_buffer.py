# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Which depth image belongs to a colour frame: the nearest by stamp. The live node and a replay share this."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

Image = TypeVar("Image")  # a depth image, decoded or as it came

ALIVE_SECONDS = 1.0
HELD, HELD_SECONDS = 64, 3.0  # depth images that wait for colour frames, which may be processed late


class DepthBuffer(Generic[Image]):
    """The newest depth images of a camera under their stamps (nanoseconds); any thread may add and ask."""

    def __init__(self) -> None:
        self._images: deque[tuple[int, Image]] = deque(maxlen=HELD)
        self._lock = threading.Condition()

    def __len__(self) -> int:
        return len(self._images)

    def add(self, stamp: int, image: Image) -> None:
        """Take the next depth image; a stamp that goes back starts over, as the clock was set or a recording loops."""
        with self._lock:
            if self._images and stamp < self._images[-1][0]:
                self._images.clear()
            self._images.append((stamp, image))
            while self._images[0][0] < stamp - HELD_SECONDS * 1e9:
                self._images.popleft()
            self._lock.notify_all()

    def nearest(self, stamp: int, tolerance: float) -> Image | None:
        """The depth image nearest to a colour frame's stamp, at most `tolerance` seconds apart, or None."""
        with self._lock:
            best = min(self._images, key=lambda held: abs(held[0] - stamp), default=None)
        return best[1] if best is not None and abs(best[0] - stamp) <= tolerance * 1e9 else None

    def wait(self, stamp: int, seconds: float) -> bool:
        """Wait up to `seconds` for the depth image of a colour frame; whether it was waited for.

        Not where a depth image of that stamp or a later one is there, nor where the last one is over a second older:
        then the camera sends none, and no frame is held up for it.
        """
        with self._lock:
            if not self._images or not 0 < stamp - self._images[-1][0] <= ALIVE_SECONDS * 1e9:
                return False
            self._lock.wait_for(lambda: self._images[-1][0] >= stamp, seconds)
            return True

    def covers(self, stamp: int) -> bool:
        """Whether no depth image still to come (stamps rise) could lie nearer to that stamp than those at hand."""
        with self._lock:
            return bool(self._images) and self._images[-1][0] >= stamp
