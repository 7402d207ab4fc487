# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Images and the detections that another process found in them, brought together by their header stamps.

An image waits until detections within `tolerance` of its stamp come, but no longer than `wait` seconds and with no
more than MOST others, so memory is bounded. It goes *unmatched* when that time is over, when it is one too many, when
a newer image was matched (the newest wins, and frames never go back in time), and when the stamps jump back (a bag
that loops). Of several detections the nearest in time count, each for one image only.

The pairs are those of the time synchronizers of message_filters for messages that come in order. Those are not used
because they drop without telling (here every image is accounted for), stand still once the stamps have jumped back,
for good once a callback has failed, and take a tolerance of 0 as "never". Knows no ROS.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any

from sdtc_ros.messages.poses import stamp_of

MOST = 30  # images, and detections, that wait at a time: at 30 a second and 1920 x 1080 that is 190 MB of images


@dataclass(frozen=True)
class _Waiting:
    stamp: int
    since: float
    message: Any


class Matcher:
    """Calls matched(image, detections) or unmatched(sentence) for every image that it is given; not thread-safe.

    tolerance: nanoseconds between the stamps of image and detections, 0: they must be equal; wait: seconds. The
    sentence of an unmatched image is empty where a newer image was matched, which is how a detector that is slower
    than the camera looks, and nothing to tell.
    """

    def __init__(
        self,
        tolerance: int,
        wait: float,
        *,
        matched: Callable[[Any, Any], None],
        unmatched: Callable[[str], None],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._tolerance, self._wait, self._clock = tolerance, wait, clock
        self._matched, self._unmatched = matched, unmatched
        self._images: deque[_Waiting] = deque()  # by stamp, the oldest first
        self._detections: deque[_Waiting] = deque(maxlen=MOST)  # as they came
        self._newest = 0  # stamp of the last image
        self._last: int | None = None  # stamp of the last detections

    def __len__(self) -> int:
        """How many images wait."""
        return len(self._images)

    @property
    def heard(self) -> bool:
        """Whether any detections have come yet."""
        return self._last is not None

    def image(self, message: Any) -> None:
        """An image came."""
        stamp = stamp_of(message.header)
        self.expire()
        if not stamp:
            self._unmatched("an image without a stamp cannot be matched with detections; have its driver set it")
            return
        if stamp < self._newest:
            self._forget(stamp)
        self._newest = stamp
        self._images.append(_Waiting(stamp, self._clock(), message))
        if detections := self._nearest(self._detections, stamp):
            self._match(self._images[-1], detections)
        elif len(self._images) > MOST:
            self._drop(f"more than {MOST} images wait for their detections")

    def detections(self, message: Any) -> None:
        """Detections came."""
        found = _Waiting(stamp_of(message.header), self._clock(), message)
        self._last = found.stamp
        if image := self._nearest(self._images, found.stamp):
            self._match(image, found)
        else:
            self._detections.append(found)
        self.expire()

    def expire(self) -> None:
        """Let the images go that have waited for too long; to be called from time to time while none come."""
        limit = self._clock() - self._wait
        while self._images and self._images[0].since < limit:
            self._drop(f"no detections within {self._tolerance * 1e-9:g} s of its stamp arrived in {self._wait:g} s")

    def _nearest(self, waiting: deque[_Waiting], stamp: int) -> _Waiting | None:
        near = [one for one in waiting if abs(one.stamp - stamp) <= self._tolerance]
        return min(reversed(near), key=lambda one: abs(one.stamp - stamp), default=None)  # the later of equals

    def _match(self, image: _Waiting, detections: _Waiting) -> None:
        while self._images[0] is not image:
            self._images.popleft()
            self._unmatched("")
        self._images.popleft()
        kept = [one for one in self._detections if one.stamp > detections.stamp]
        self._detections.clear()
        self._detections.extend(kept)
        self._matched(image.message, detections.message)

    def _drop(self, reason: str) -> None:
        """Let the oldest image go."""
        image = self._images.popleft()
        if self._last is None:
            self._unmatched(f"{reason}; none have arrived at all")
            return
        off = (self._last - image.stamp) * 1e-9
        self._unmatched(
            f"{reason} (the last that arrived are {abs(off):.3g} s {'newer' if off > 0 else 'older'} than the image): "
            "does the detector stamp its detections with the image's header, and keep up?"
        )

    def _forget(self, stamp: int) -> None:
        """The stamps have jumped back to `stamp`: nothing that waits belongs to what comes now."""
        while self._images:
            self._images.popleft()
            self._unmatched("")
        kept = [one for one in self._detections if one.stamp <= stamp + self._tolerance]
        self._detections.clear()
        self._detections.extend(kept)
